"""What `check` and `plan` say of a Kubernetes cluster before anything is made or spent."""

import pytest

from testing.api_project import write_api_project
from testing.k8s_api import K8sApi, on_k8s
from testing.projects import write_project
from tests.preflight.looks import look_at

L4 = {"nvidia.com/gpu.memory": "23034", "nvidia.com/gpu.product": "NVIDIA-L4"}
NODES = [{"name": "cpu-1"}, {"name": "gpu-1", "gpus": 2, "labels": L4}]


def project(folder, k8s=(), **needs):
    return write_project(folder, compute={**on_k8s(folder, **dict(k8s)), **needs})


def found_at(path, **how):
    return {(one.what, one.of): one for one in look_at(path, whole=False, plans_memory=False, **how)}


def errors(path):
    return {key: one.found for key, one in found_at(path).items() if one.state == "error"}


@pytest.fixture
def asked(k8s: K8sApi):
    """The pods that were really made."""
    yield k8s.made
    assert k8s.made() == [], "a look makes no pod"


def test_a_cluster_that_has_everything_is_ok(k8s, asked, tmp_path):
    found = found_at(project(tmp_path))
    assert not errors(project(tmp_path))
    assert found["cluster", k8s.url].found == "Kubernetes v1.37.0, namespace distill"
    assert found["permission", "distill"].state == "ok"
    assert found["claim", "store"].found == "Bound, ReadWriteMany"
    assert {key[1] for key in found if key[0] == "pod"} == {"pod", "fit", "generate", "train", "benchmark"}
    assert "3 of 3 nodes have 1 cores and 8 GiB" in found["node", "train"].found
    assert found["device", "student_checkpoint"].found == "the CPU of a pod"


def test_each_right_that_is_missing_is_named(k8s, asked, tmp_path):
    k8s.script(denied=["delete pods", "get pods/log", "list nodes"])
    found = found_at(project(tmp_path))
    said = found["permission", "distill"].found
    assert "may not delete pods, get pods/log in the namespace distill: give its account" in said
    assert found["node", k8s.url].state == "not checked"


def test_a_pod_that_the_api_would_refuse_is_seen_before_anything_is_spent(k8s, asked, tmp_path):
    k8s.script(quota="exceeded quota: gpus, requested: requests.nvidia.com/gpu=1")
    assert "exceeded quota: gpus" in errors(project(tmp_path))["pod", "train"]
    k8s.script(denied=["create pods"])
    assert "cannot create resource" in errors(project(tmp_path))["pod", "generate"]
    k8s.script()
    typo = errors(project(tmp_path, {"spec": {"priorityClasName": "low"}}))
    assert "priorityClasName" in typo["pod", "generate"]
    label = errors(project(tmp_path, {"pod": {"node_selector": {"gpu": "an L4"}}}))
    assert "spec.nodeSelector: Invalid value" in label["pod", "pod"]
    nowhere = errors(project(tmp_path, {"namespace": "elsewhere"}))
    assert 'namespaces "elsewhere" not found' in nowhere["pod", "train"]


def test_a_claim_that_is_missing_or_that_one_node_alone_can_mount_is_said(k8s, asked, tmp_path):
    k8s.script(claims={})
    assert "there is no PersistentVolumeClaim store" in errors(project(tmp_path))["claim", "store"]
    k8s.script(claims={"store": ["ReadWriteOnce"]})
    assert found_at(project(tmp_path))["claim", "store"].state == "warning"


def test_gpus_are_those_of_the_need_and_nodes_without_them_are_a_warning(k8s, asked, tmp_path):
    k8s.script(nodes=NODES)
    path = project(
        tmp_path, train={"gpus": 2, "memory_gb": 24}, benchmark={"gpus": 4}, generate={"gpus": 1, "memory_gb": 80}
    )
    found = found_at(path)
    assert "1 of 2 nodes have 2 nvidia.com/gpu of 24 GB" in found["node", "train"].found
    assert found["node", "benchmark"].state == found["node", "generate"].state == "warning"
    assert "none of 2 nodes has 1 nvidia.com/gpu of 80 GB" in found["node", "generate"].found
    assert found["device", "student_checkpoint"].found == "2 GPU(s) of a pod"


def sizes(path) -> dict[str, str]:
    """What `check` says of the pods of a project: section -> what each requests."""
    return {key[1]: one.found.removeprefix("the API would make it, with ") for key, one in found_at(path).items()
            if key[0] == "pod"}  # fmt: skip


def test_the_pods_that_are_checked_are_those_that_run(k8s, asked, tmp_path, server):
    """A teacher behind an endpoint needs no device, even if `generate` has GPUs; ranks on the CPU have a core each."""
    own = {"pod": {"cpus": 2, "memory_gb": 4}, "generate": {"cpus": 64}, "train": {"cpus": 3}}
    none, compute = {"gpus": 0}, on_k8s(tmp_path, **own)
    path = write_api_project(tmp_path, server, compute=compute | {"generate": {"gpus": 1}})
    assert sizes(path)["pod"] == "2 cores and 4 GiB"
    assert "generate" not in sizes(path)
    path = project(tmp_path / "two", own, train=none | {"processes": 5})
    assert sizes(path)["train"] == "5 cores and 8 GiB", "ranks"
    assert sizes(path)["generate"] == "64 cores and 8 GiB"
    assert "3 of 3 nodes have 5 cores" in found_at(path)["node", "train"].found


def test_a_label_that_is_no_number_fits_no_need(k8s, asked, tmp_path):
    k8s.script(nodes=[{"name": "gpu-1", "gpus": 2, "labels": {**L4, "nvidia.com/gpu.memory": "22Gi"}}])
    found = found_at(project(tmp_path, train={"gpus": 1, "memory_gb": 16}))
    assert "none of 1 nodes has 1 nvidia.com/gpu of 16 GB" in found["node", "train"].found


def test_an_api_that_does_not_answer_and_settings_that_do_not_fit_are_one_error(k8s, asked, tmp_path, server):
    k8s.script(away=True)
    assert "cannot answer: the server is currently unable" in errors(project(tmp_path))["cluster", "kubernetes"]
    k8s.script()
    assert "mounts /other in pods" in errors(project(tmp_path, {"claims": {"/other": "c"}}))["cluster", "kubernetes"]
    keyed = write_api_project(tmp_path, server, compute=on_k8s(tmp_path), endpoint={"api_key": "TEACHER_KEY"})
    assert "`compute.k8s.keys_from` names no Secret" in errors(keyed)["cluster", "kubernetes"]


def test_a_kubeconfig_that_is_not_there_is_said(k8s, asked, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert "set KUBECONFIG, or run Dagster in the cluster" in errors(project(tmp_path))["cluster", "kubernetes"]


def test_a_model_in_no_volume_of_the_pods_is_a_warning(k8s, asked, tmp_path):
    (tmp_path / "models/t").mkdir(parents=True)
    claims = {"claims": {str(tmp_path / "project"): "store"}}
    (tmp_path / "project").mkdir()
    compute = on_k8s(tmp_path / "project", **claims)
    path = write_project(
        tmp_path / "project", **{"teacher.model": {"name": str(tmp_path / "models/t")}, "compute": compute}
    )
    assert found_at(path)["pod", str(tmp_path / "models/t")].state == "warning"
