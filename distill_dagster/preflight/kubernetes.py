"""A Kubernetes cluster in place of this machine: whether its API answers, and would make the pods that a run needs.

Requirement("cluster", "https://10.0.0.1:6443", "ok", "Kubernetes v1.37.0, namespace distill")
Requirement("permission", "distill", "error", "this process may not create pods there: …")
Requirement("pod", "train", "error", "the Kubernetes API refuses the pod: …")

A pod of each kind of work is sent as a dry run: the API checks it and everything that may refuse it, quotas too, and
makes nothing. What only a running pod shows is not checked: the image, what it sees, whether torch finds CUDA.
"""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from distill_dagster.config import Need
from distill_dagster.errors import ComputeError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES
from distill_dagster.preflight.cluster import model_folders
from distill_dagster.preflight.hardware import Leasable
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement, State
from distill_dagster.remote.attempt import JOBS, Attempt
from distill_dagster.remote.gpus import SOLD_AS
from distill_dagster.resources.compute.k8s.api import RIGHTS as MISSING
from distill_dagster.resources.compute.k8s.api import ApiRefusal, PodApi, Unanswered, connect
from distill_dagster.resources.compute.k8s.pod import Wanted, build_pod
from distill_dagster.resources.compute.k8s.settings import K8sSettings, require_fit
from distill_dagster.resources.compute.settings import cluster_settings

RIGHTS = (("create", "pods"), ("get", "pods"), ("list", "pods"), ("delete", "pods"), ("get", "pods/log"))


class Pods:
    """The pods that a run would make."""

    def __init__(self, look: Snapshot, pending: Pending) -> None:
        self.config, self.store = pending.config, look.project.store.root
        self.kinds = list(dict.fromkeys(kind for name in pending.stages if (kind := STAGES[name].compute)))
        self.folders = model_folders(look, pending)
        self._found = list(self._look())

    @property
    def is_up(self) -> bool:
        """Whether the API answers."""
        return not any(found.what == "cluster" and found.state == "error" for found in self._found)

    def requirements(self) -> Iterator[Requirement]:
        """The cluster, what this process may do there, and what pods need."""
        yield from self._found

    def _look(self) -> Iterator[Requirement]:
        settings = {kind: K8sSettings.model_validate(cluster_settings(self.config, kind)) for kind in self.kinds}
        own = next(iter(settings.values()))
        try:
            require_fit(own)
            api = connect(own.context, own.namespace)
            version = api.version()
        except (ComputeError, Unanswered) as e:
            yield Requirement("cluster", "kubernetes", "error", str(e))
            return
        yield Requirement("cluster", api.host, "ok", f"Kubernetes {version}, namespace {api.namespace}")
        try:
            yield _rights(api)
            yield from (_claim(api, name) for name in dict.fromkeys(own.claims.values()))
            yield from (self._pod(api, kind, own) for kind, own in settings.items())
            yield from self._nodes(api, settings)
        except (ApiRefusal, Unanswered) as e:
            yield Requirement("cluster", api.host, "error", str(e))
        yield from self._models(own)

    def _models(self, own: K8sSettings) -> Iterator[Requirement]:
        """Folders of models that no volume of the pods holds."""
        for folder in self.folders:
            if not any(PurePath(folder).is_relative_to(path) for path in own.claims):
                said = f"{folder} is in no volume of `compute.k8s.claims`: put it there, or into the image"
                yield Requirement("pod", folder, "warning", said)

    def _pod(self, api: PodApi, kind: str, own: K8sSettings) -> Requirement:
        """What the API says of a pod of this kind."""
        attempt = Attempt(self.store / JOBS / "dry-run" / "1", 1)
        try:
            api.create(build_pod(own, Wanted(attempt, kind, self._need(kind), own.pod_of(True))), dry_run=True)
        except ComputeError as e:
            return Requirement("pod", kind, "error", f"the Kubernetes API refuses the pod: {e}")
        return Requirement("pod", kind, "ok", f"the API would make it, with {_in_words(self._need(kind), own)}")

    def _nodes(self, api: PodApi, settings: dict[str, K8sSettings]) -> Iterator[Requirement]:
        """Whether a node has what each kind of work asks for; a cluster may add one."""
        try:
            nodes = api.nodes()
        except ApiRefusal:
            yield Requirement("node", api.host, "not checked", "this process may not list nodes")
            return
        for kind, own in settings.items():
            need = self._need(kind)
            fit = [node["metadata"]["name"] for node in nodes if _fits(node, need, own)]
            asked = _in_words(need, own)
            if fit:
                yield Requirement("node", kind, "ok", f"{len(fit)} of {len(nodes)} nodes have {asked}")
                continue
            said = f"none of {len(nodes)} nodes has {asked}: if the cluster adds no such node, a pod waits in vain"
            yield Requirement("node", kind, "warning", said)

    def _need(self, kind: str) -> Need:
        return self.config.compute.needs[kind]

    def found_for(self, need: Need, kind: str, spreads: bool) -> Leasable:
        """What a pod of this kind has: the GPUs of the need, of its memory at least, and its main memory."""
        known = [SOLD_AS * need.memory_gb] * need.gpus if need.memory_gb else []
        main_gb = self.config.compute.k8s.pod_for(kind).memory_gb
        return Leasable([str(i) for i in range(need.gpus)], known, main_gb)

    def device(self, stage: str, found: Leasable, load_torch: bool) -> Requirement:
        """What the pod has; whether torch finds it is not known before."""
        if not found.devices:
            return Requirement("device", stage, "ok", "the CPU of a pod")
        return Requirement("device", stage, "ok", f"{len(found.devices)} GPU(s) of a pod")

    def vllm(self) -> tuple[State, str]:
        """Nobody knows before what is in the image."""
        return "not checked", "the image must have vLLM (`distill-dagster[vllm]`)"


def _rights(api: PodApi) -> Requirement:
    missing = [f"{verb} {what}" for verb, what in RIGHTS if not api.may(verb, *what.split("/"))]
    if missing:
        said = f"this process may not {', '.join(missing)} in the namespace {api.namespace}: {MISSING}"
        return Requirement("permission", api.namespace, "error", said)
    return Requirement("permission", api.namespace, "ok", "this process may make, read and delete pods")


def _claim(api: PodApi, name: str) -> Requirement:
    try:
        claim = api.claim(name)
    except ApiRefusal as e:
        return Requirement("claim", name, "not checked", str(e))
    if claim is None:
        said = f"there is no PersistentVolumeClaim {name} in the namespace {api.namespace}: make it, or correct "
        return Requirement("claim", name, "error", f"{said}`compute.k8s.claims`")
    modes, phase = claim["spec"].get("accessModes") or [], claim["status"].get("phase")
    if phase == "Lost":
        return Requirement("claim", name, "error", "its volume is lost")
    if not {"ReadWriteMany", "ReadOnlyMany"} & set(modes):
        said = f"its access modes are {', '.join(modes)}: only pods on one node can mount it"
        return Requirement("claim", name, "warning", said)
    return Requirement("claim", name, "ok", f"{phase}, {', '.join(modes)}")


def _fits(node: dict[str, Any], need: Need, own: K8sSettings) -> bool:
    """Whether a node would have room for the pod if nothing else ran there. Taints are not looked at."""
    from kubernetes.utils.quantity import parse_quantity

    has, labels, pod = node["status"].get("allocatable") or {}, node["metadata"].get("labels") or {}, own.pod_of(True)
    least = {own.gpu_resource: need.gpus, "cpu": pod.cpus, "memory": pod.memory_gb * 1024**3}
    if any(parse_quantity(has.get(name, 0)) < amount for name, amount in least.items()):
        return False
    if any(labels.get(name) != value for name, value in pod.node_selector.items()):
        return False
    if not (need.gpus and need.memory_gb and own.gpu_memory_label):
        return True
    return int(labels.get(own.gpu_memory_label, 0)) >= SOLD_AS * need.memory_gb * 1024


def _in_words(need: Need, own: K8sSettings) -> str:
    pod = own.pod_of(True)
    memory = f" of {need.memory_gb:g} GB" if need.memory_gb else ""
    gpus = f"{need.gpus} {own.gpu_resource}{memory}, " if need.gpus else ""
    return f"{gpus}{pod.cpus:g} cores and {pod.memory_gb:g} GiB"
