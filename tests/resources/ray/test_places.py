"""Which nodes can run a need, and what a config says of a cluster; no cluster is started."""

import pytest
from pydantic import ValidationError

from distill_dagster.config import ComputeConfig, Need
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_resources
from distill_dagster.errors import ComputeError, ConfigError
from distill_dagster.evaluation.speed.hardware import hardware_of, machine_for
from distill_dagster.lineage.freshness import code_versions
from distill_dagster.resources.compute.ray.cluster import Node, place
from distill_dagster.resources.compute.ray.look import look_at_cluster
from distill_dagster.resources.compute.settings import cluster_settings
from testing.dev_server import free_port
from testing.projects import write_project

CPU, SMALL, LARGE = Node("c", "cpu-1", 0, 8), Node("s", "gpu-1", 2, 16), Node("l", "gpu-2", 8, 64)
MEMORY = {"s": [22.5] * 2, "l": [79.6] * 8}
ALL = [CPU, SMALL, LARGE]


def placed(need: Need, nodes=ALL, spreads=False):
    return place(need, nodes, lambda asked: {node.id: MEMORY[node.id] for node in asked}, spreads)


def test_a_need_goes_to_the_nodes_that_have_it():
    assert placed(Need(gpus=0)).options == {"num_gpus": 0, "num_cpus": 1}
    assert placed(Need(gpus=1)).options == {"num_gpus": 1, "num_cpus": 1}
    assert placed(Need(gpus=4)).nodes == ("l",)
    assert placed(Need(gpus=1, memory_gb=24)).nodes == ("s", "l"), "22.5 GB are sold as 24"
    large = placed(Need(gpus=1, memory_gb=80)).options
    assert large["label_selector"] == {"ray.io/node-id": "in(l)"}
    assert placed(Need(gpus=0, processes=4)).cpus == 4


def test_nodes_that_lost_an_attempt_are_avoided_while_there_are_others():
    placement = placed(Need(gpus=1))
    assert placement.avoiding(["s"]).options["label_selector"] == {"ray.io/node-id": "in(l)"}
    assert "label_selector" not in placement.avoiding(["s", "l"]).options


def test_a_need_that_no_node_satisfies_is_refused_with_both_numbers():
    with pytest.raises(ComputeError, match=r"16 GPU\(s\) asked for, and the largest node .* has 8.*Only a training"):
        placed(Need(gpus=16))
    with pytest.raises(ComputeError, match=r"1 GPU\(s\) with 141 GB asked for, and the largest node .* has 0"):
        placed(Need(gpus=1, memory_gb=141, cpu=False))
    with pytest.raises(ComputeError, match=r"20 process\(es\) asked for, and the node with most cores leases 8"):
        placed(Need(gpus=0, processes=20), [CPU])


def test_a_training_is_shared_by_the_fewest_nodes_that_have_it_in_equal_parts():
    gpus = placed(Need(gpus=16), [SMALL, LARGE, Node("m", "gpu-3", 8, 64)], spreads=True)
    assert (gpus.count, gpus.gpus, gpus.nodes) == (2, 8, ("l", "m"))
    assert gpus.ranks(Need(gpus=16)) == 8
    cores = placed(Need(gpus=0, processes=4), [Node(name, name, 0, 1) for name in "abcd"], spreads=True)
    assert (cores.count, cores.cpus, cores.ranks(Need(gpus=0, processes=4))) == (4, 1, 1)
    assert placed(Need(gpus=8), spreads=True).count == 1
    assert gpus.avoiding(["l"]).nodes == ("l", "m"), "the other one is not enough"
    with pytest.raises(ComputeError, match=r"10 GPU\(s\) asked for, .* has 8.*if each gives as many"):
        placed(Need(gpus=10), spreads=True)


def test_a_cluster_without_gpus_runs_what_accepts_a_cpu():
    assert placed(Need(gpus=1, cpu=True), [CPU]).gpus == 0
    with pytest.raises(ComputeError, match=r"1 GPU\(s\) asked for, and the largest node of the Ray cluster has 0"):
        placed(Need(gpus=1, cpu=False), [CPU])


def test_what_belongs_to_another_backend_is_refused():
    with pytest.raises(ValidationError, match="remove `devices`"):
        ComputeConfig.model_validate({"backend": "ray", "devices": ["0"]})
    with pytest.raises(ValidationError, match="set it to `ray`, or remove `ray`"):
        ComputeConfig.model_validate({"backend": "subprocess", "ray": {"retries": 1}})
    with pytest.raises(ValidationError, match="address"):
        ComputeConfig.model_validate({"backend": "ray", "ray": {"address": "ray://head:10001"}})


def on_ray(folder, **changes):
    return load_config(write_project(folder, **{"compute": {"backend": "ray", **changes}}))


def test_the_hardware_of_a_cluster_is_what_the_config_asks_of_it(tmp_path):
    ray = ComputeConfig(backend="ray")
    assert machine_for(ray) is None
    assert hardware_of(ray) == {"cluster": "ray", "gpus": 1, "memory_gb": 0, "cpu": True}
    one, two = on_ray(tmp_path / "one"), on_ray(tmp_path / "two", benchmark={"gpus": 2})
    before, after = code_versions(one), code_versions(two)
    assert {name for name in before if before[name] != after[name]} == {"speed_benchmark", "eval_report"}


def test_keys_and_headers_of_endpoints_are_handed_to_workers_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    endpoint = {
        "url": "https://x.example/v1",
        "model": "m",
        "api_key": "OPENAI_API_KEY",
        "headers": {"X-Team": "$TEAM"},
    }
    path = write_project(
        tmp_path,
        **{
            "teacher": {"endpoint": endpoint},
            "student.model.tokenizer": "train",
            "compute": {"backend": "ray", "ray": {"env": ["HF_TOKEN"]}},
        },
    )
    config = load_config(path)
    assert cluster_settings(config, "generate")["variables"] == ["HF_TOKEN", "OPENAI_API_KEY", "TEAM"]
    assert "secret" not in str(build_resources(config)["train_compute"].resource_fn(None).settings)


def test_settings_of_a_cluster_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"compute\.ray\.retries"):
        on_ray(tmp_path, ray={"retries": -1})


@pytest.mark.processes
def test_an_address_at_which_nobody_listens_is_said_at_once(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ComputeError, match=rf"no Ray cluster answers at `compute.ray.address: {address}`"):
        look_at_cluster(address, tmp_path, [], finds_cuda=False)


def test_nodes_that_share_a_training_take_the_cores_that_all_of_them_have():
    strong, weak = Node("a", "gpu-1", 8, 64), Node("b", "gpu-2", 8, 4)
    placement = placed(Need(gpus=16), [strong, weak], spreads=True)
    assert (placement.count, placement.cpus, placement.nodes) == (2, 4, ("a", "b"))
