"""A Ray cluster: the connection of this process, its nodes, and those that can run a need.

A need says which GPUs a step wants; Ray counts GPUs, and knows no memory of them. So where a need states memory, the
nodes are asked, and the task is restricted to those whose GPUs all have it.
"""

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from distill_dagster.config import Need
from distill_dagster.errors import ComputeError
from distill_dagster.remote.gpus import SOLD_AS

NAMESPACE = "distill-dagster"
ANSWERS_S = 5.0  # the head to a connection
_addresses: list[str] = []  # of this process's connection
GpuMemory = Mapping[str, Sequence[float]]  # node id -> GB of each of its GPUs


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is alive, and what Ray leases there."""

    id: str
    host: str
    gpus: int
    cpus: int


@dataclass(frozen=True, slots=True)
class Placement:
    """The GPUs and cores that a worker takes, on any of these nodes; GPUs 0: the CPU."""

    gpus: int  # on one node
    cpus: int
    nodes: tuple[str, ...]
    is_restricted: bool = field(default=False)  # whether other nodes must not run it
    count: int = 1  # nodes that share the work

    def ranks(self, need: Need) -> int:
        """The processes on one node of a training that they share."""
        return self.gpus or need.processes // self.count

    def avoiding(self, lost: Sequence[str]) -> "Placement":
        """The same without the nodes that lost an attempt, while there are enough others."""
        others = tuple(node for node in self.nodes if node not in lost)
        left = others if len(others) >= self.count else self.nodes
        return replace(self, nodes=left, is_restricted=self.is_restricted or len(left) < len(self.nodes))

    @property
    def options(self) -> dict[str, object]:
        """The options of a Ray task or actor."""
        options: dict[str, object] = {"num_gpus": self.gpus, "num_cpus": self.cpus}
        return {**options, "label_selector": self.selector} if self.is_restricted else options

    @property
    def selector(self) -> dict[str, str]:
        """The label selector of the nodes."""
        return {"ray.io/node-id": f"in({','.join(self.nodes)})"}


def connect(address: str) -> None:
    """Make this process a driver of the cluster, unless it is one.

    Raises:
        ComputeError: Ray is not installed, or no cluster answers at the address.
    """
    with _own_handlers():
        try:
            import ray
        except ImportError as e:
            raise ComputeError("`compute.backend: ray` needs Ray: install `distill-dagster[ray]`") from e
        if ray.is_initialized() and _addresses == [address]:
            return
        disconnect()
        _require_answer(address)
        try:
            ray.init(address, namespace=NAMESPACE, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError, ValueError) as e:
            raise ComputeError(f"no Ray cluster can be used at `compute.ray.address: {address}` ({e})") from e
        _addresses[:] = [address]


def disconnect() -> None:
    """End this process's connection, if it has one."""
    import ray

    ray.shutdown()
    _addresses.clear()


def _require_answer(address: str) -> None:
    """Say at once that nobody listens; Ray would try for a minute."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), ANSWERS_S).close()
    except OSError as e:
        raise ComputeError(
            f"no Ray cluster answers at `compute.ray.address: {address}` ({e}): start its head, or correct the address"
        ) from e


@contextlib.contextmanager
def _own_handlers() -> Iterator[None]:
    """Keep this process's signal handlers: Ray's own would end a step without its cleaning up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def nodes() -> list[Node]:
    """The nodes that are alive."""
    import ray

    return [
        Node(
            id=node["NodeID"],
            host=node["NodeManagerHostname"],
            gpus=int(node["Resources"].get("GPU", 0)),
            cpus=int(node["Resources"].get("CPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def place(
    need: Need, found: Sequence[Node], gpu_gb: Callable[[Sequence[Node]], GpuMemory], spreads: bool = False
) -> Placement:
    """Where a need can run; `gpu_gb` gives the memory of nodes' GPUs, and is called only if the need states memory.

    What `spreads` is shared by the fewest nodes that can run it, each with as many GPUs or processes as the others.

    Raises:
        ComputeError: no node has what the need declares.
    """
    if need.gpus:
        usable = [node for node in found if node.gpus]
        if need.memory_gb:
            known = gpu_gb(usable)
            usable = [node for node in usable if _has_memory(known.get(node.id, ()), need)]
        if usable or not need.cpu:
            count = _fewest(need.gpus, [node.gpus for node in usable], spreads)
            if not count:
                raise ComputeError(_too_few(need, usable, spreads))
            gpus = need.gpus // count
            fit = [node for node in usable if node.gpus >= gpus]
            return _on(fit, gpus, gpus, count, is_restricted=bool(need.memory_gb) or count > 1)
    count = _fewest(need.processes, [node.cpus for node in found], spreads) or 1
    return _on(found, 0, need.processes // count, count, is_restricted=count > 1)


def _fewest(wanted: int, offers: Sequence[int], spreads: bool) -> int:
    """The fewest nodes that together have what is wanted, in equal parts; 0 if there are none."""
    for count in range(1, wanted + 1 if spreads else 2):
        if wanted % count == 0 and sum(offer >= wanted // count for offer in offers) >= count:
            return count
    return 0


def _has_memory(gpus_gb: Sequence[float], need: Need) -> bool:
    """Whether every GPU of a node has it: Ray may give any of them."""
    return min(gpus_gb, default=0.0) >= SOLD_AS * need.memory_gb


def _on(fit: Sequence[Node], gpus: int, processes: int, count: int, is_restricted: bool) -> Placement:
    """The most cores up to one for each process that enough of the nodes have."""
    cores = sorted((node.cpus for node in fit), reverse=True)[count - 1] if len(fit) >= count else 0
    if cores == 0 or (not gpus and processes > cores):
        raise ComputeError(
            f"{processes} process(es) asked for, and the node with most cores leases "
            f"{max((node.cpus for node in fit), default=0)}: lower `compute.….processes`, or add a node"
        )
    cpus = min(processes, cores)
    names = tuple(node.id for node in fit if node.cpus >= cpus)
    return Placement(gpus, cpus, names, is_restricted, count)


def _too_few(need: Need, usable: Sequence[Node], spreads: bool) -> str:
    memory = f" with {need.memory_gb:g} GB" if need.memory_gb else ""
    most = max((node.gpus for node in usable), default=0)
    several = (
        "Several nodes can share it if each gives as many GPUs as the others"
        if spreads
        else "Only a training can run on several nodes"
    )
    return (
        f"{need.gpus} GPU(s){memory} asked for, and the largest node of the Ray cluster has {most}: lower "
        f"`compute.….gpus`{'' if need.cpu else ', set `cpu: true`'}, or add a node that has them. {several}"
    )
