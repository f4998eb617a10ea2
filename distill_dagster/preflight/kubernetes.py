"""A Kubernetes cluster in place of this machine: whether its API answers, and would make the pods that a run needs.

Requirement("cluster", "https://10.0.0.1:6443", "ok", "Kubernetes v1.37.0, namespace distill")
Requirement("permission", "distill", "error", "this process may not create pods there: …")
Requirement("pod", "train", "error", "the Kubernetes API refuses the pod: …")

Each pod that the pending stages make is sent as a dry run: the API checks it and everything that may refuse it, quotas
too, and makes nothing. It is named by the section of `compute.k8s` that sizes it: work that needs no device has `pod`.
What only a running pod shows is not checked: the image, what it sees, whether torch finds CUDA.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from distill_dagster.config import Need
from distill_dagster.errors import ComputeError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES
from distill_dagster.preflight.cluster import model_folders
from distill_dagster.preflight.hardware import Leasable
from distill_dagster.preflight.memory import training_of
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement, State
from distill_dagster.remote.attempt import JOBS, Attempt
from distill_dagster.remote.gpus import SOLD_AS
from distill_dagster.resources.compute.k8s.api import RIGHTS as MISSING
from distill_dagster.resources.compute.k8s.api import ApiRefusal, PodApi, Unanswered, connect
from distill_dagster.resources.compute.k8s.pod import (
    Wanted,
    build_pod,
    cores_of,
    least_gpu_mib,
    ranks_of,
    requests_of,
)
from distill_dagster.resources.compute.k8s.settings import K8sSettings, require_fit
from distill_dagster.resources.compute.resource import NO_DEVICE
from distill_dagster.resources.compute.settings import cluster_settings

RIGHTS = (("create", "pods"), ("get", "pods"), ("list", "pods"), ("delete", "pods"), ("get", "pods/log"))


class Pods:
    """The pods that a run would make."""

    def __init__(self, look: Snapshot, pending: Pending) -> None:
        self.config, self.store, self.pending = pending.config, look.project.store.root, pending
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
        wanted = self._wanted()
        own = self._settings(next(kind for name in self.pending.stages if (kind := STAGES[name].compute)))
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
            yield from (_pod(api, section, own, one) for section, one in wanted)
            yield from _nodes(api, own, wanted)
        except (ApiRefusal, Unanswered) as e:
            yield Requirement("cluster", api.host, "error", str(e))
        yield from self._models(own)

    def _models(self, own: K8sSettings) -> Iterator[Requirement]:
        """Folders of models that no volume of the pods holds."""
        for folder in self.folders:
            if not any(PurePath(folder).is_relative_to(path) for path in own.claims):
                said = f"{folder} is in no volume of `compute.k8s.claims`: put it there, or into the image"
                yield Requirement("pod", folder, "warning", said)

    def _settings(self, kind: str) -> K8sSettings:
        return K8sSettings.model_validate(cluster_settings(self.config, kind))

    def _wanted(self) -> list[tuple[str, Wanted]]:
        """The pods of the pending stages, each once, with the section of `compute.k8s` that sizes it."""
        found: dict[tuple[Any, ...], tuple[str, Wanted]] = {}
        for worker, kind, on_device, uses_ranks in self._work():
            own, need = self._settings(kind), self.config.compute.needs[kind] if on_device else NO_DEVICE
            attempt, ranks = Attempt(self.store / JOBS / "dry-run" / "1", 1), ranks_of(need, uses_ranks)
            one = Wanted(attempt, worker, need, own.pod_of(on_device), ranks)
            section = kind if on_device else "pod"
            asked = (section, need.memory_gb, *requests_of(own, one).items())
            found.setdefault(asked, (section, one))
        return list(found.values())

    def _work(self) -> Iterator[tuple[str, str, bool, bool]]:
        """A worker, its kind of work, whether it needs a device, and whether it is a training in ranks."""
        on_devices = self.pending.on_devices
        for name in self.pending.stages:
            stage = STAGES[name]
            if not stage.compute:
                continue
            spreads = name in on_devices and name != "student_sweep" and training_of(name, self.pending) is not None
            yield stage.worker, stage.compute, name in on_devices, spreads
            if name == "student_checkpoint":
                yield "try_model", "benchmark", True, False  # the check of the published student

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


def _pod(api: PodApi, section: str, own: K8sSettings, wanted: Wanted) -> Requirement:
    """What the API says of a pod."""
    try:
        api.create(build_pod(own, wanted), dry_run=True)
    except ComputeError as e:
        return Requirement("pod", section, "error", f"the Kubernetes API refuses the pod: {e}")
    return Requirement("pod", section, "ok", f"the API would make it, with {_in_words(wanted, own)}")


def _nodes(api: PodApi, own: K8sSettings, wanted: Sequence[tuple[str, Wanted]]) -> Iterator[Requirement]:
    """Whether a node has what each pod asks for; a cluster may add one."""
    try:
        nodes = api.nodes()
    except ApiRefusal:
        yield Requirement("node", api.host, "not checked", "this process may not list nodes")
        return
    for section, one in wanted:
        fit = [node["metadata"]["name"] for node in nodes if _fits(node, one, own)]
        asked = _in_words(one, own)
        if fit:
            yield Requirement("node", section, "ok", f"{len(fit)} of {len(nodes)} nodes have {asked}")
            continue
        said = f"none of {len(nodes)} nodes has {asked}: if the cluster adds no such node, a pod waits in vain"
        yield Requirement("node", section, "warning", said)


def _fits(node: dict[str, Any], wanted: Wanted, own: K8sSettings) -> bool:
    """Whether a node would have room for the pod if nothing else ran there. Taints are not looked at."""
    from kubernetes.utils.quantity import parse_quantity

    has, labels = node["status"].get("allocatable") or {}, node["metadata"].get("labels") or {}
    if any(
        parse_quantity(has.get(name, 0)) < parse_quantity(asked) for name, asked in requests_of(own, wanted).items()
    ):
        return False
    if any(labels.get(name) != value for name, value in wanted.pod.node_selector.items()):
        return False
    if (least := least_gpu_mib(own, wanted.need)) is None:
        return True
    says = labels.get(own.gpu_memory_label, "")
    return says.isdecimal() and int(says) >= least  # Kubernetes takes no other value for a number either


def _in_words(wanted: Wanted, own: K8sSettings) -> str:
    need = wanted.need
    memory = f" of {need.memory_gb:g} GB" if need.memory_gb else ""
    gpus = f"{need.gpus} {own.gpu_resource}{memory}, " if need.gpus else ""
    return f"{gpus}{cores_of(wanted):g} cores and {wanted.pod.memory_gb:g} GiB"
