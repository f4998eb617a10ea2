"""Asks nodes of a Ray cluster what they have and see, in tasks that take no resources."""

import time
from collections.abc import Sequence
from typing import Any

from distill_dagster.errors import ComputeError
from distill_dagster.remote.node import Facts, Look
from distill_dagster.remote.on_ray import look_here
from distill_dagster.resources.compute.ray.cluster import Node
from distill_dagster.resources.compute.ray.tasks import answer
from distill_dagster.resources.compute.sessions import Lost

ANSWER_S = 60.0  # a node that starts its first Ray worker, and imports


def ask_nodes(nodes: Sequence[Node], look: Look) -> list[Facts | str]:
    """The facts of each node, or why it has none; all are asked at once, and all have the same time to answer."""
    asked, end = [_asked(node.id, look) for node in nodes], time.monotonic() + ANSWER_S
    found: list[Facts | str] = []
    for ref in asked:
        try:
            found.append(answer(ref, max(0.0, end - time.monotonic())))
        except (Lost, ComputeError) as e:
            found.append(str(e))
    return found


def _asked(node: str, look: Look) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node, soft=False)
    task: Any = ray.remote(look_here)
    return task.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(look)
