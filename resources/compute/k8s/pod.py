"""The pod of an attempt, as the document that the API gets.

    metadata.name     distill-generate-shard-3f2a9c01d2e4-1        the worker, its job and the attempt's number
    spec              one container: requests equal limits, the volumes at the step's paths, keys by reference

Requests equal limits, so that Kubernetes evicts the pod last, and no neighbour slows a model that is timed.

Kubernetes counts GPUs and knows nothing of their memory. A need that states it becomes a condition on the label with
which GPU feature discovery says how much each GPU of a node has.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import PurePath
from typing import Any

from distill_dagster.config import K8sPod, Need, Toleration
from distill_dagster.errors import ComputeError
from distill_dagster.ranks.launcher import TIMEOUT_VARIABLE
from distill_dagster.remote.attempt import Attempt
from distill_dagster.remote.gpus import SOLD_AS
from distill_dagster.remote.in_pod import NODE
from distill_dagster.remote.node import PACKAGE
from distill_dagster.resources.compute.k8s.settings import K8sSettings
from distill_dagster.store.hashing import sha256

NAME, STORE, JOB = "app.kubernetes.io/name", "distill-dagster/store", "distill-dagster/job"
WORKER, RUN, STEP = "distill-dagster/worker", "distill-dagster/run", "distill-dagster/step"
AWAY = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
AWAY_S = 60  # on a node that no longer answers, then Kubernetes gives the pod up; its own default is 300 s
KILL_S = 10  # beyond the worker's grace, for the process that ends it
CONTAINER = "worker"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a pod is made from, beside the settings."""

    attempt: Attempt
    worker: str
    need: Need
    pod: K8sPod
    ranks: int = 1
    pipes: Mapping[str, str] = field(default_factory=dict)  # the variables of the Pipes session
    labels: Mapping[str, str] = field(default_factory=dict)  # of the run
    owner: Mapping[str, Any] | None = None  # an owner reference
    avoided: Sequence[str] = ()  # nodes that lost an attempt


def store_label(own: K8sSettings) -> str:
    """Tells the pods of one store from those of others in the namespace, by its claim and its place in that volume.

    The path alone would not do, since projects mount volumes of their own at one path. Nor would an id written into the
    store: a copy of the store would have it too. A store in no claim, which `require_fit` refuses, has its path.
    """
    path = PurePath(own.store)
    mounts = [mount for mount in own.claims if path.is_relative_to(mount)]
    if not mounts:
        return sha256(str(path))[:32]
    mount = max(mounts, key=lambda one: len(PurePath(one).parts))  # a volume may be mounted inside another one
    return sha256(json.dumps([own.claims[mount], str(path.relative_to(mount))], allow_nan=False))[:32]


def build_pod(own: K8sSettings, wanted: Wanted) -> dict[str, Any]:
    """The pod of an attempt.

    Raises:
        ComputeError: `compute.k8s.spec` has a field that no pod has.
    """
    volumes = [
        {"name": f"claim-{i}", "persistentVolumeClaim": {"claimName": claim}}
        for i, claim in enumerate(own.claims.values())
    ]
    given = {"serviceAccountName": own.service_account, "affinity": _affinity(own, wanted)}
    spec = {
        **own.spec,
        **{name: value for name, value in given.items() if value},
        "restartPolicy": "Never",
        "activeDeadlineSeconds": math.ceil(own.deadline_hours * 3600),
        "terminationGracePeriodSeconds": own.grace_s + KILL_S,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "imagePullSecrets": [{"name": name} for name in own.pull_secrets],
        "nodeSelector": dict(wanted.pod.node_selector),
        "tolerations": _tolerations(wanted.pod.tolerations),
        "volumes": [*volumes, {"name": "shm", "emptyDir": {"medium": "Memory"}}],
        "containers": [_container(own, wanted)],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(own, wanted), "spec": spec}
    _require_known_fields(pod)
    return pod


def _metadata(own: K8sSettings, wanted: Wanted) -> dict[str, Any]:
    job = wanted.attempt.folder.parent.name
    labels = {NAME: PACKAGE, STORE: store_label(own), JOB: job, WORKER: wanted.worker}
    metadata: dict[str, Any] = {
        "name": f"distill-{wanted.worker.replace('_', '-')}-{job[:12]}-{wanted.attempt.number}",
        "labels": {**own.labels, **wanted.labels, **labels},
        "annotations": {"distill-dagster/attempt": str(wanted.attempt.folder)},
    }
    return {**metadata, "ownerReferences": [dict(wanted.owner)]} if wanted.owner else metadata


def ranks_of(need: Need, uses_ranks: bool) -> int:
    """The processes that share the work in a pod."""
    return (need.gpus or need.processes) if uses_ranks else 1


def requests_of(own: K8sSettings, wanted: Wanted) -> dict[str, str]:
    """What the pod requests, and has as its limits."""
    amounts = {"cpu": f"{cores_of(wanted) * 1000:.0f}m", "memory": f"{wanted.pod.memory_gb * 1024:.0f}Mi"}
    return {**amounts, own.gpu_resource: str(wanted.need.gpus)} if wanted.need.gpus else amounts


def _container(own: K8sSettings, wanted: Wanted) -> dict[str, Any]:
    mounts = [{"name": f"claim-{i}", "mountPath": path} for i, path in enumerate(own.claims)]
    amounts = requests_of(own, wanted)
    container = {
        "name": CONTAINER,
        "image": own.image,
        "command": _command(own, wanted),
        "env": _environment(own, wanted),
        "resources": {"requests": amounts, "limits": amounts},
        "volumeMounts": [*mounts, {"name": "shm", "mountPath": "/dev/shm"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {**container, "imagePullPolicy": own.pull_policy} if own.pull_policy else container


def _command(own: K8sSettings, wanted: Wanted) -> list[str]:
    said = {"attempt": wanted.attempt.folder, "step": version(PACKAGE), "ranks": wanted.ranks}
    said |= {"orphan-s": own.orphan_s, "grace-s": own.grace_s}
    options = [part for name, value in said.items() for part in (f"--{name}", str(value))]
    return ["python", "-m", "distill_dagster.remote.in_pod", *options]


def _environment(own: K8sSettings, wanted: Wanted) -> list[dict[str, Any]]:
    """Values of what everybody may read, and references to what nobody may."""
    plain = {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": str(max(1, int(cores_of(wanted) / wanted.ranks)))}
    plain[TIMEOUT_VARIABLE] = str(own.grace_s)  # else the launcher of several ranks kills them after 60 s
    if not wanted.need.gpus:
        plain["NVIDIA_VISIBLE_DEVICES"] = "void"  # else NVIDIA's runtime shows all GPUs of a node to some images
    plain |= {name: os.environ[name] for name in own.env if name in os.environ} | dict(wanted.pipes)
    secret = {name: {"secretKeyRef": {"name": own.keys_from, "key": name}} for name in own.secret_variables}
    taken = {NODE: {"fieldRef": {"fieldPath": "spec.nodeName"}}, **secret}
    return [
        *({"name": name, "value": value} for name, value in plain.items() if name not in taken),
        *({"name": name, "valueFrom": source} for name, source in taken.items()),
    ]


def cores_of(wanted: Wanted) -> float:
    """The cores of the pod: on the CPU each rank has one at least."""
    return max(wanted.pod.cpus, wanted.ranks if not wanted.need.gpus else 0)


def least_gpu_mib(own: K8sSettings, need: Need) -> int | None:
    """The MiB that the label of a node must say for each GPU; None if the need names no memory, or nodes no label."""
    names_memory = need.gpus and need.memory_gb and own.gpu_memory_label
    return math.ceil(SOLD_AS * need.memory_gb * 1024) if names_memory else None


def _affinity(own: K8sSettings, wanted: Wanted) -> dict[str, Any] | None:
    """The memory that the GPUs of the node must have, and the nodes that are avoided while there are others."""
    rules: dict[str, Any] = {}
    if least := least_gpu_mib(own, wanted.need):
        enough = {"key": own.gpu_memory_label, "operator": "Gt", "values": [str(least - 1)]}
        terms = {"nodeSelectorTerms": [{"matchExpressions": [enough]}]}
        rules["requiredDuringSchedulingIgnoredDuringExecution"] = terms
    if wanted.avoided:
        # by the nodes' names, which the label kubernetes.io/hostname need not have; a field takes one value each
        others = [
            {"key": "metadata.name", "operator": "NotIn", "values": [node]} for node in dict.fromkeys(wanted.avoided)
        ]
        preferred = [{"weight": 100, "preference": {"matchFields": others}}]
        rules["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    return {"nodeAffinity": rules} if rules else None


def _tolerations(given: Sequence[Toleration]) -> list[dict[str, Any]]:
    named = [one.model_dump(exclude_none=True) for one in given]
    tolerations = [{"tolerationSeconds" if name == "seconds" else name: one[name] for name in one} for one in named]
    away = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": AWAY_S}
        for key in AWAY
        if key not in [one.key for one in given]
    ]
    return [*tolerations, *away]


def _require_known_fields(pod: dict[str, Any]) -> None:
    """Refuse a field that Kubernetes does not know, or a value of another type, without asking the API."""
    from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
    from kubernetes.client import V1Pod

    try:
        k8s_model_from_dict(V1Pod, k8s_snake_case_dict(V1Pod, pod))
    except Exception as e:
        raise ComputeError(f"`compute.k8s.spec` is no part of a pod's spec: {e}") from e
