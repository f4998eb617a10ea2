"""The backend `ray`: one run of a worker on a Ray cluster, whose driver is the process of the step."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_dagster.config import Need
from distill_dagster.config.ray import RayConfig
from distill_dagster.remote.attempt import Attempt
from distill_dagster.remote.node import Facts, Look
from distill_dagster.remote.order import Ended, WorkOrder
from distill_dagster.resources.compute.inline import Context
from distill_dagster.resources.compute.ray.asking import ask_nodes
from distill_dagster.resources.compute.ray.cluster import GpuMemory, Node, Placement, connect, nodes, place
from distill_dagster.resources.compute.ray.kept import run_kept
from distill_dagster.resources.compute.ray.spread import lost_nodes, run_on_nodes
from distill_dagster.resources.compute.ray.tasks import run_task
from distill_dagster.resources.compute.sessions import ProgressWatch, in_words, persist, result_from, session_of
from distill_dagster.store.result import Result, Spec
from distill_dagster.telemetry import handed


class RaySettings(RayConfig):
    """`compute.ray`, with what the rest of the config says of it."""

    store: str
    variables: list[str] = []  # of the environment, with the keys of endpoints: handed to workers


_known: dict[str, Sequence[float]] = {}  # node id -> memory of its GPUs


def run_on_ray(context: Context, worker: str, spec: Spec, need: Need, settings: dict[str, Any]) -> Result:
    """Run a worker on a node that satisfies the need, again elsewhere if that node dies, and return its result.

    Raises:
        UserError: the worker refused the spec.
        ComputeError: no cluster answers, no node satisfies the need, or every attempt was lost.
    """
    own = RaySettings.model_validate(settings)
    connect(own.address)

    def run(attempt: Attempt) -> Result:
        found = place(need, nodes(), lambda asked: _gpu_gb(asked, context), spec.uses_ranks)
        placement = found.avoiding(attempt.avoided)
        ranks = placement.ranks(need) if spec.uses_ranks else 1
        context.log.info(f"{worker} runs on {_in_words(placement, ranks)}")
        with session_of(context, attempt, worker, spec, placement.gpus, ranks * placement.count) as session:
            environment = {**_values(own.variables), **handed(far=True), **session.get_bootstrap_env_vars()}
            order = WorkOrder(attempt, ranks, environment)
            ended = _run(order, placement, worker, spec, own)
            attempt.wait_for_messages(ended.messages)
        return result_from(worker, ended, session.get_custom_messages())

    return persist(context, worker, spec, Path(own.store), own.retries, run, lost_nodes)


def _run(order: WorkOrder, placement: Placement, worker: str, spec: Spec, own: RaySettings) -> Ended:
    """In a kept worker where the next shard can use its models, else in a process of its own."""
    watch = ProgressWatch(order.attempt, spec, own.stalled_minutes)
    if placement.count > 1:
        return run_on_nodes(order, placement, worker, watch)
    if own.keep_workers_s and spec.repeats and order.ranks == 1:
        return run_kept(order, placement, own.store, own.keep_workers_s, watch)
    return run_task(order, placement, worker, watch)


def _values(names: Sequence[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _in_words(placement: Placement, ranks: int) -> str:
    where = "a node of the Ray cluster" if placement.count == 1 else f"{placement.count} nodes of the Ray cluster, each"
    return f"{where} {in_words(placement.gpus, ranks)}"


def _gpu_gb(asked: Sequence[Node], context: Context) -> GpuMemory:
    """The memory of nodes' GPUs. It never changes while a node lives, so each node is asked once."""
    new = [node for node in asked if node.id not in _known]
    for node, facts in zip(new, ask_nodes(new, Look()), strict=True):
        if isinstance(facts, Facts):
            _known[node.id] = tuple(facts.gpus.values())
        else:
            context.log.warning(
                f"the node {node.host} of the Ray cluster is not used, because it cannot be asked: {facts}"
            )
    return _known
