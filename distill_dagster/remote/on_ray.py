"""What runs inside Ray on a node: a task for one order, an actor for a kept worker, a look at the node.

Nodes import these by name, so a node needs the package at the version of the step, and `ray` at that of the cluster.
"""

import socket

from distill_dagster.remote.attempt import Where
from distill_dagster.remote.kept import KeptWorker
from distill_dagster.remote.node import Facts, Look, facts_apart
from distill_dagster.remote.order import Ended, WorkOrder, carry_out


def where_here() -> Where:
    """This node, and the GPUs that Ray has given to the task or actor that asks."""
    import ray

    devices = tuple(str(device) for device in ray.get_gpu_ids())
    return Where(ray.get_runtime_context().get_node_id(), ray.util.get_node_ip_address(), devices)


def free_address() -> str:
    """The address of this node, with a port that nobody uses."""
    import ray

    host = ray.util.get_node_ip_address()
    with socket.socket() as own:
        own.bind((host, 0))
        return f"{host}:{own.getsockname()[1]}"


def run_order(order: WorkOrder) -> Ended:
    """Carry out an order in a task."""
    return carry_out(order, where_here())


class RayKeptWorker(KeptWorker):
    """A kept worker as an actor."""

    def __init__(self, idle_s: float) -> None:
        super().__init__(where_here(), idle_s)


def look_here(look: Look) -> Facts:
    """What this node has and sees."""
    return facts_apart(look)
