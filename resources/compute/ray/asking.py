"""Asks nodes of a Ray cluster what they have and see, in tasks that take no resources."""

from collections.abc import Sequence
from typing import Any

from distill_dagster.errors import ComputeError
from distill_dagster.remote.node import Facts, Look
from distill_dagster.remote.on_ray import look_here
from distill_dagster.resources.compute.ray.cluster import Node
from distill_dagster.resources.compute.ray.tasks import answer
from distill_dagster.resources.compute.sessions import Lost

ANSWER_S = 60.0  # a node that starts its first Ray worker, and imports


def ask_node(node: str, look: Look | None = None) -> Facts:
    """The facts of one node.

    Raises:
        ComputeError: it does not answer, or cannot run the package.
    """
    try:
        return answer(_asked(node, look or Look()), ANSWER_S)
    except Lost as e:
        raise ComputeError(f"the node {node[:8]} of the Ray cluster cannot be asked: {e}") from e


def ask_nodes(nodes: Sequence[Node], look: Look) -> list[Facts | str]:
    """The facts of each node, or why it has none; all are asked at once."""
    found: list[Facts | str] = []
    for ref in [_asked(node.id, look) for node in nodes]:
        try:
            found.append(answer(ref, ANSWER_S))
        except (Lost, ComputeError) as e:
            found.append(str(e))
    return found


def _asked(node: str, look: Look) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node, soft=False)
    task: Any = ray.remote(look_here)
    return task.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(look)
