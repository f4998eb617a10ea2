"""With `compute.backend: ray`, the preflight asks the nodes of the cluster, and names what is wrong with each."""

import sys
from dataclasses import replace

import pytest

from distill_dagster.errors import ComputeError
from distill_dagster.preflight import cluster
from distill_dagster.remote.node import Facts, facts, facts_apart
from distill_dagster.remote.node import Look as NodeLook
from distill_dagster.resources.compute.ray.cluster import Node
from distill_dagster.resources.compute.ray.look import SeenNode
from testing.projects import write_project
from tests.preflight.looks import errors, look_at

HERE = facts(NodeLook())
GPUS = replace(HERE, gpus={"0": 16.0, "1": 16.0}, main_gb=64.0)


@pytest.fixture
def nodes(monkeypatch):
    """Call it to say what the cluster answers; what it was asked is appended to the list that it returns."""
    asked = []

    def answer(*seen: SeenNode | ComputeError) -> list:
        def look(address, store, paths, finds_cuda):
            asked.append((address, store, list(paths), finds_cuda))
            if isinstance(seen[0], ComputeError):
                raise seen[0]
            return list(seen)

        monkeypatch.setattr(cluster, "look_at_cluster", look)
        return asked

    return answer


def node(name: str, found: Facts | None = HERE, gpus: int = 0, cpus: int = 8, problem: str | None = None) -> SeenNode:
    return SeenNode(Node(f"{name}-id", name, gpus, cpus), found, problem)


def project(folder, **compute):
    return write_project(folder, **{"compute": {"backend": "ray", "ray": {"address": "head:6379"}, **compute}})


def test_a_cluster_that_does_not_answer_is_one_error(tmp_path, nodes):
    nodes(ComputeError("no Ray cluster answers"))
    assert errors(project(tmp_path), whole=False) == {("cluster", "head:6379"): "no Ray cluster answers"}


def test_what_is_wrong_with_a_node_is_said_of_that_node(tmp_path, nodes):
    wrong = replace(HERE, package="0.1.0", sees_store=False, unseen=["/models/t"])
    nodes(node("good"), node("bad", wrong), node("dead", None, problem="no module named distill_dagster"))
    found = errors(project(tmp_path), whole=False)
    assert list(found) == [("node", "bad bad-id"), ("node", "dead dead-i")]
    said = found["node", "bad bad-id"]
    ours = f"distill-dagster {HERE.package} on Python 3.{sys.version_info.minor}"
    assert f"runs {ours.replace(HERE.package, '0.1.0')}, and this machine {ours}: install the same" in said
    assert "does not see the store" in said
    assert "does not see /models/t" in said
    assert found["node", "dead dead-i"] == "no module named distill_dagster"


def test_the_head_that_leases_nothing_need_not_be_right(tmp_path, nodes):
    nodes(node("head", replace(HERE, sees_store=False), cpus=0), node("good"))
    assert not errors(project(tmp_path), whole=False)


def test_a_cluster_whose_nodes_lease_nothing_is_refused(tmp_path, nodes):
    nodes(node("head", cpus=0))
    assert "no node has cores or GPUs" in errors(project(tmp_path), whole=False)["cluster", "head:6379"]


def test_devices_and_memory_are_those_of_the_nodes(tmp_path, nodes):
    asked = nodes(node("cpu"), node("gpu", GPUS, gpus=2))
    path = project(tmp_path, train={"gpus": 2}, benchmark={"gpus": 4})
    found = {(r.what, r.of): r for r in look_at(path, whole=False, plans_memory=False)}
    assert "2 GPU(s) of a node" in found["device", "student_checkpoint"].found
    assert found["device", "student_benchmark"].state == "error"
    assert (
        "4 GPU(s) asked for, and the largest node of the Ray cluster has 2"
        in found["device", "student_benchmark"].found
    )
    ((address, store, paths, finds_cuda),) = asked
    assert (address, store, paths, finds_cuda) == ("head:6379", tmp_path / "store", [], False)


def test_the_memory_is_that_of_the_nodes_and_torch_must_find_cuda_there(tmp_path, nodes):
    nodes(node("gpu", replace(GPUS, finds_cuda=False), gpus=2))
    found = {(r.what, r.of): r for r in look_at(project(tmp_path, train={"gpus": 2}), plans_memory=False)}
    assert "torch finds no CUDA on gpu" in found["device", "student_checkpoint"].found
    assert "of 16.0 GB of each GPU" in found["memory", "student_checkpoint"].found


def test_vllm_must_be_on_the_nodes_with_gpus(tmp_path, nodes):
    nodes(node("cpu"), node("gpu", GPUS, gpus=2))
    path = write_project(tmp_path, **{"teacher.generation.engine": "vllm", "compute": {"backend": "ray"}})
    assert "vLLM is not installed on gpu" in errors(path, whole=False)["engine", "teacher_outputs"]


def test_a_model_outside_the_store_must_be_seen_by_the_nodes(tmp_path, nodes):
    (tmp_path / "teacher").mkdir()
    asked = nodes(node("cpu"))
    path = write_project(
        tmp_path,
        **{"teacher.model": {"name": str(tmp_path / "teacher")}, "compute": {"backend": "ray"}},
    )
    look_at(path, whole=False)
    assert asked[0][2] == [str(tmp_path / "teacher")]


def test_this_machine_asks_no_cluster(tmp_path, nodes):
    asked = nodes(ComputeError("not asked"))
    assert not errors(write_project(tmp_path), whole=False)
    assert asked == []


def test_what_a_node_does_not_see_is_found_there(tmp_path):
    probe = tmp_path / "probe"
    probe.write_text("text")
    (tmp_path / "model").mkdir()
    paths = (str(tmp_path / "model"), str(tmp_path / "gone"))
    assert facts(NodeLook(str(probe), "text", paths)).sees_store
    assert facts(NodeLook(str(probe), "text", paths)).unseen == [paths[1]]
    assert not facts(NodeLook(str(probe), "another text")).sees_store
    assert not facts(NodeLook(str(tmp_path / "nothing"), "text")).sees_store


def test_a_task_that_leases_no_gpu_still_sees_those_of_its_node(tmp_path, monkeypatch):
    """Ray hides them from it: the variable is empty."""
    listing = tmp_path / "nvidia-smi"
    listing.write_text("#!/bin/sh\necho '0, GPU-a, 81559'\n")
    listing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert facts_apart(NodeLook()).gpus == {"0": 81559 / 1024}
