"""The pod of an attempt is a valid one of Kubernetes 1.37, and says what the need and the settings ask."""

import json
from pathlib import Path

import pytest

from distill_dagster.config import K8sPod, Need, Toleration
from distill_dagster.errors import ComputeError
from distill_dagster.remote.attempt import Attempt
from distill_dagster.resources.compute.k8s.pod import STORE, Wanted, build_pod
from distill_dagster.resources.compute.k8s.settings import K8sSettings
from testing.k8s_rules import Invalid, require_valid_pod

pytestmark = pytest.mark.slow  # Kubernetes' client is imported
pytest.importorskip("dagster_k8s", reason="needs `distill-dagster[k8s]`")
CPU = Need(gpus=0)
L4 = {"nvidia.com/gpu.product": "NVIDIA-L4"}
GPU_TAINT = Toleration(key="nvidia.com/gpu", effect="NoSchedule")


def settings(**changes) -> K8sSettings:
    own = {"image": "r.example/d:1", "claims": {"/project": "store", "/models": "models"}, "store": "/project/store"}
    return K8sSettings.model_validate({**own, "kind": "train", **changes})


def pod_of(need=CPU, own=None, **wanted):
    own = own or settings()
    attempt = Attempt(Path("/project/store/.compute/3f2a9c01d2e4aa/1"), 1)
    pod = build_pod(own, Wanted(attempt, "train_student", need, own.pod_of(True), **wanted))
    require_valid_pod(pod)
    return pod


def container(pod):
    return pod["spec"]["containers"][0]


def environment(pod):
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container(pod)["env"]}


def test_gpus_memory_and_cores_are_requested_and_limited():
    pod = pod_of(Need(gpus=2), settings(train={"cpus": 16, "memory_gb": 120.5, "node_selector": L4}))
    asked = {"cpu": "16000m", "memory": "123392Mi", "nvidia.com/gpu": "2"}
    assert container(pod)["resources"] == {"requests": asked, "limits": asked}
    assert pod["spec"]["nodeSelector"] == L4
    assert pod["metadata"]["name"] == "distill-train-student-3f2a9c01d2e4-1"
    other = pod_of(Need(gpus=1), settings(gpu_resource="nvidia.com/mig-3g.40gb"))
    assert container(other)["resources"]["limits"]["nvidia.com/mig-3g.40gb"] == "1"


def test_the_memory_of_gpus_is_a_condition_on_the_nodes_label():
    rules = pod_of(Need(gpus=1, memory_gb=24))["spec"]["affinity"]["nodeAffinity"]
    (term,) = rules["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    (condition,) = term["matchExpressions"]
    assert (condition["key"], condition["operator"]) == ("nvidia.com/gpu.memory", "Gt")
    assert 22_800 < int(condition["values"][0]) < 23_034, "an L4 has 23,034 MiB and is sold as 24 GB"
    assert "affinity" not in pod_of(Need(gpus=1, memory_gb=24), settings(gpu_memory_label=""))["spec"]
    assert "affinity" not in pod_of(Need(gpus=0, memory_gb=24))["spec"]


def test_nodes_that_lost_an_attempt_are_avoided():
    rules = pod_of(avoided=["node-1", "node-2", "node-1"])["spec"]["affinity"]["nodeAffinity"]
    (preferred,) = rules["preferredDuringSchedulingIgnoredDuringExecution"]
    other = {"key": "metadata.name", "operator": "NotIn"}
    assert preferred["preference"] == {"matchFields": [{**other, "values": [name]} for name in ("node-1", "node-2")]}


def test_a_pod_without_gpus_sees_none_and_counts_threads_by_its_cores():
    alone = environment(pod_of(Need(gpus=0), settings(pod={"cpus": 6})))
    assert (alone["NVIDIA_VISIBLE_DEVICES"], alone["OMP_NUM_THREADS"]) == ("void", "6")
    shared = pod_of(Need(gpus=0, processes=4), settings(pod={"cpus": 2}), ranks=4)
    assert container(shared)["resources"]["limits"]["cpu"] == "4000m"
    assert environment(shared)["OMP_NUM_THREADS"] == "1"
    assert "NVIDIA_VISIBLE_DEVICES" not in environment(pod_of(Need(gpus=1)))


def test_keys_are_references_and_plain_values_those_of_the_step(monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", "sk-made")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    own = settings(keys_from="keys", keys=["HF_TOKEN"], secrets=["TEACHER_KEY"], env=["HF_HUB_OFFLINE", "UNSET"])
    pod = pod_of(own=own, pipes={"DAGSTER_PIPES_CONTEXT": "c"})
    assert "sk-made" not in json.dumps(pod)
    assert environment(pod)["TEACHER_KEY"] == {"secretKeyRef": {"name": "keys", "key": "TEACHER_KEY"}}
    assert environment(pod)["HF_TOKEN"] == {"secretKeyRef": {"name": "keys", "key": "HF_TOKEN"}}
    assert environment(pod)["HF_HUB_OFFLINE"] == "1"
    assert "UNSET" not in environment(pod)


def test_a_pod_lives_as_long_as_the_settings_say():
    spec = pod_of(own=settings(deadline_hours=0.5, grace_s=90))["spec"]
    assert spec["activeDeadlineSeconds"] == 1800
    assert spec["terminationGracePeriodSeconds"] > 90
    assert spec["restartPolicy"] == "Never"
    assert environment(pod_of(own=settings(grace_s=90)))["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == "90", "of several ranks"
    assert spec["automountServiceAccountToken"] is False


def test_volumes_are_at_the_steps_paths():
    mounts = {mount["mountPath"]: mount["name"] for mount in container(pod_of())["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod_of()["spec"]["volumes"]}
    assert volumes[mounts["/models"]]["persistentVolumeClaim"] == {"claimName": "models"}
    assert volumes[mounts["/dev/shm"]]["emptyDir"] == {"medium": "Memory"}


def test_tolerations_are_those_of_the_config_and_nodes_that_are_away_are_left_after_a_minute():
    away = Toleration(key="node.kubernetes.io/unreachable", effect="NoExecute", seconds=300)
    pods = [pod_of(own=settings(pod=K8sPod(tolerations=given).model_dump())) for given in ([GPU_TAINT], [away])]
    taints = [{one["key"]: one for one in pod["spec"]["tolerations"]} for pod in pods]
    assert taints[0]["nvidia.com/gpu"] == {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert taints[0]["node.kubernetes.io/unreachable"]["tolerationSeconds"] == 60
    assert taints[1]["node.kubernetes.io/unreachable"]["tolerationSeconds"] == 300


def test_more_fields_of_the_spec_are_taken_and_a_typo_is_refused():
    spec = {"priorityClassName": "low", "securityContext": {"fsGroup": 10001}, "runtimeClassName": "nvidia"}
    assert pod_of(own=settings(spec=spec))["spec"]["priorityClassName"] == "low"
    for wrong in ({"priorityClasName": "low"}, {"securityContext": {"fsGrup": 1}}, {"securityContext": 7}):
        with pytest.raises(ComputeError, match=r"`compute.k8s.spec` is no part of a pod's spec"):
            pod_of(own=settings(spec=wrong))


def store_of(**changes) -> str:
    return pod_of(own=settings(**changes))["metadata"]["labels"][STORE]


def test_a_store_is_told_from_others_by_its_claim_and_its_place_there():
    one = store_of(claims={"/project": "one"})
    assert one != store_of(claims={"/project": "two"}), "two volumes at one path"
    assert one != store_of(claims={"/project": "one"}, store="/project/other/store")
    assert one == store_of(claims={"/mnt/p": "one"}, store="/mnt/p/store/"), "one volume at two paths"
    inner = {"/project": "one", "/project/store": "inner"}
    assert store_of(claims=inner) == store_of(claims={"/project/store": "inner"}) != one


def test_an_owner_is_a_reference():
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "run-1", "uid": "u"}
    assert pod_of(owner=owner)["metadata"]["ownerReferences"] == [owner]


@pytest.mark.parametrize(
    ("part", "wrong"),
    [("spec", {"nodeSelecter": {}}), ("metadata", {"labels": {"a": "b c"}}), ("metadata", {"name": "Not_a_name"})],
)
def test_the_rules_of_the_stand_in_refuse_what_a_server_refuses(part, wrong):
    pod = pod_of()
    pod[part] |= wrong
    with pytest.raises(Invalid):
        require_valid_pod(pod)
