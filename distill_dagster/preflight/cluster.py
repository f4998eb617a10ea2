"""A Ray cluster in place of this machine: whether it answers, and what its nodes have and see.

Requirement("cluster", "auto", "ok", "4 nodes: 24 cores and 8 GPUs to lease")
Requirement("node", "gpu-3", "error", "does not see the store …: put it on storage that all nodes mount at one path")
"""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from distill_dagster.config import Need
from distill_dagster.config.compute import CLUSTER_BACKENDS
from distill_dagster.errors import ComputeError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES
from distill_dagster.models.outline import local_source
from distill_dagster.models.ref import read_ref
from distill_dagster.preflight.hardware import Leasable
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement, State
from distill_dagster.remote.node import PACKAGE
from distill_dagster.resources.compute.ray.cluster import Node, place
from distill_dagster.resources.compute.ray.look import SeenNode, look_at_cluster

PINNED = ("teacher_model", "student_base")  # artefacts that may name a folder outside the store


class Cluster:
    """The nodes of a cluster; none if it does not answer, which `requirements` says."""

    def __init__(self, look: Snapshot, pending: Pending, whole: bool) -> None:
        self.address, self.store = pending.config.compute.ray.address, look.project.store.root
        self.nodes: list[SeenNode] = []
        self.problem: str | None = None
        try:
            found = look_at_cluster(self.address, self.store, model_folders(look, pending), finds_cuda=whole)
            self.nodes = [seen for seen in found if seen.node.cpus or seen.node.gpus]
        except ComputeError as e:
            self.problem = str(e)

    @property
    def is_up(self) -> bool:
        """Whether there are nodes that can run a worker."""
        return not self.problem and bool(self.nodes)

    def requirements(self) -> Iterator[Requirement]:
        """The cluster, and each node that can run a worker."""
        if self.problem:
            yield Requirement("cluster", self.address, "error", self.problem)
            return
        if not self.nodes:
            said = "no node has cores or GPUs to lease: start nodes with `ray start`"
            yield Requirement("cluster", self.address, "error", said)
            return
        cores, gpus = (sum(getattr(seen.node, what) for seen in self.nodes) for what in ("cpus", "gpus"))
        said = f"{len(self.nodes)} node(s): {cores} cores and {gpus} GPUs to lease"
        yield Requirement("cluster", self.address, "ok", said)
        for seen in self.nodes:
            said = self._wrong_with(seen)
            yield Requirement(
                "node", f"{seen.node.host} {seen.node.id[:6]}", "error" if said else "ok", said or _has(seen)
            )

    def _wrong_with(self, seen: SeenNode) -> str | None:
        """Why workers cannot run on a node, all reasons."""
        if seen.facts is None:
            return seen.problem
        facts = seen.facts
        problems = [facts.gpu_problem] if facts.gpu_problem else []
        if (theirs := _runs(facts.package, facts.python)) != (
            ours := _runs(version(PACKAGE), platform.python_version())
        ):
            problems.append(f"runs {theirs}, and this machine {ours}: install the same on both")
        if not facts.sees_store:
            problems.append(f"does not see the store {self.store}: put it on storage that all nodes mount at one path")
        problems += [f"does not see {path}: put it where all nodes see it" for path in facts.unseen]
        return "; ".join(problems) or None

    def found_for(self, need: Need, kind: str, spreads: bool) -> Leasable:
        """The GPUs of the node with the smallest ones, or the main memory of the node with least."""
        by_id = {seen.node.id: seen for seen in self.nodes}
        known = {name: _gpu_gb(seen) for name, seen in by_id.items()}
        placement = place(need, [seen.node for seen in self.nodes], lambda _: known, spreads)
        fit = [by_id[name] for name in placement.nodes]
        main_gb = min((seen.facts.main_gb for seen in fit if seen.facts), default=0.0)
        sizes = [sorted(gpus_gb) for seen in fit if (gpus_gb := known[seen.node.id])]
        devices = [str(i) for i in range(placement.gpus)]
        return Leasable(devices, min(sizes, default=[]), main_gb, placement.count)

    def device(self, stage: str, found: Leasable, load_torch: bool) -> Requirement:
        """Whether torch finds the GPUs of the nodes."""
        where = "a node" if found.nodes == 1 else f"each of {found.nodes} nodes"
        if not found.devices:
            return Requirement("device", stage, "ok", f"the CPU of {where}")
        blind = [seen.node for seen in self.nodes if seen.node.gpus and seen.facts and seen.facts.finds_cuda is False]
        if load_torch and blind:
            said = f"torch finds no CUDA on {_hosts(blind)}: install a CUDA build of torch there"
            return Requirement("device", stage, "error", said)
        return Requirement("device", stage, "ok", f"{len(found.devices)} GPU(s) of {where}")

    def vllm(self) -> tuple[State, str]:
        """Whether the nodes with GPUs have vLLM."""
        without = [seen.node for seen in self.nodes if seen.node.gpus and seen.facts and not seen.facts.has_vllm]
        way_out = "install `distill-dagster[vllm]` there, or use `engine: auto`"
        if without:
            return "error", f"vLLM is not installed on {_hosts(without)}: {way_out}"
        return "ok", "vLLM is installed"


def runs_there(pending: Pending) -> bool:
    """Whether a pending step runs on the cluster of the config."""
    return pending.config.compute.backend in CLUSTER_BACKENDS and any(STAGES[name].compute for name in pending.stages)


def model_folders(look: Snapshot, pending: Pending) -> list[str]:
    """The folders of models that nodes must see: of the config, and those that pinned models are in."""
    given = [str(folder) for _, model in pending.models if model.name and (folder := local_source(model.name))]
    pinned = [manifest for name in PINNED if name not in pending.stages and (manifest := look.find(name))]
    return given + [path for manifest in pinned if (path := read_ref(Path(manifest.folder)).path)]


def _runs(package: str, python: str) -> str:
    """The versions that must agree."""
    return f"{PACKAGE} {package} on Python {'.'.join(python.split('.')[:2])}"


def _gpu_gb(seen: SeenNode) -> list[float]:
    return list(seen.facts.gpus.values()) if seen.facts else []


def _has(seen: SeenNode) -> str:
    return f"{seen.node.cpus} cores, {seen.node.gpus} GPUs; it sees the store and the models"


def _hosts(nodes: list[Node]) -> str:
    return ", ".join(dict.fromkeys(node.host for node in nodes))
