"""One attempt on several nodes: a training whose ranks share each batch, as on one machine (ADR 16).

A placement group reserves equal parts on different nodes. The task on each runs a launcher (ranks/launcher.py), and the
launchers meet at the first node. They end together: a training without some of its ranks is of no use.
"""

import time
from dataclasses import replace
from typing import Any

from distill_dagster.errors import ComputeError
from distill_dagster.remote.attempt import Attempt
from distill_dagster.remote.on_ray import free_address, run_order
from distill_dagster.remote.order import GRACE_S, Ended, WorkOrder
from distill_dagster.resources.compute.ray.cluster import Placement, nodes
from distill_dagster.resources.compute.ray.tasks import LOOK_S, answer, cancel, require_nodes
from distill_dagster.resources.compute.sessions import Lost, ProgressWatch, error_of, nodes_of
from distill_dagster.telemetry.instruments import add_wait

ADDRESS_S = 60.0  # for a node that starts its first Ray worker, and imports
NOTICED_S = 30.0  # until Ray says that a node has died, with the settings of examples/ray/


def run_on_nodes(order: WorkOrder, placement: Placement, name: str, watch: ProgressWatch) -> Ended:
    """Run an order on `placement.count` nodes.

    Raises:
        Lost: one of the nodes died, the ranks made no progress, or too few nodes are left.
        UserError: what a rank reported.
        ComputeError: a rank ended without a report, or a node cannot run the package.
    """
    from ray.util.placement_group import remove_placement_group

    group, refs = _reserve(placement, watch), []
    try:
        meet = answer(_on(group, 0, free_address, num_cpus=0).remote(), ADDRESS_S)
        for node in range(placement.count):
            part = replace(order, nodes=placement.count, node=node, meet=meet)
            own = {"name": f"{name} {node}", "num_gpus": placement.gpus, "num_cpus": placement.cpus}
            refs.append(_on(group, node, run_order, **own).remote(part))
        return _follow(refs, order.attempt, watch)
    except BaseException:
        for ref in refs:
            cancel(ref, order.attempt)
        raise
    finally:
        remove_placement_group(group)


def lost_nodes(attempt: Attempt) -> list[str]:
    """The nodes that an attempt was lost by: its only one, or those of several that are gone."""
    ran = nodes_of(attempt)
    alive = {node.id for node in nodes()}
    return ran if len(ran) == 1 else [node for node in ran if node not in alive]


def _reserve(placement: Placement, watch: ProgressWatch) -> Any:
    """A placement group with a bundle on each of the nodes."""
    from ray.util.placement_group import placement_group, remove_placement_group

    bundle = {"CPU": float(placement.cpus), **({"GPU": float(placement.gpus)} if placement.gpus else {})}
    group = placement_group(
        [bundle] * placement.count,
        strategy="STRICT_SPREAD",
        bundle_label_selector=[placement.selector] * placement.count,
    )
    asked = time.monotonic()
    try:
        while not group.wait(LOOK_S):
            watch.keep_job()
            require_nodes(placement)
    except BaseException:
        remove_placement_group(group)
        raise
    add_wait("cluster", time.monotonic() - asked)
    return group


def _on(group: Any, bundle: int, function: Any, **options: Any) -> Any:
    """A task for a bundle."""
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    there = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=bundle)
    task: Any = ray.remote(function)
    return task.options(max_retries=0, scheduling_strategy=there, **options)


def _follow(refs: list[Any], attempt: Attempt, watch: ProgressWatch) -> Ended:
    """How the first node's launcher ended, once all have ended well."""
    import ray

    left, first = list(refs), None
    while left:
        done, left = ray.wait(left, timeout=LOOK_S)
        for ref in done:
            ended: Ended = answer(ref)
            if ended.code:
                _raise_failure(left, attempt, ended)
            first = ended if ref == refs[0] else first
        if attempt.started():
            watch.look()
        else:
            watch.keep_job()
    assert first is not None
    return first


def _raise_failure(left: list[Any], attempt: Attempt, ended: Ended) -> None:
    """Raise what a user did wrong, else Lost if a node or its launcher was killed, else what failed first.

    The launchers of the other nodes end too. Ray may need half a minute to see that a node is dead.
    """
    import ray

    attempt.give_up()
    ends, until = [ended], time.monotonic() + GRACE_S + NOTICED_S
    while left and time.monotonic() < until:
        done, left = ray.wait(left, timeout=LOOK_S)
        ends += [answer(ref) for ref in done]
    if left:
        raise Lost("one of its nodes does not answer")
    reports = attempt.failures()
    if refused := next((said for said in reports if said["error"] != "ComputeError"), None):
        raise error_of(refused)
    if killed := next((one for one in ends if one.was_killed), None):
        raise Lost(f"the launcher of a node was killed by signal {-killed.code}")
    if not reports:
        raise ComputeError(f"the launcher of a node ended with status {ended.code}; its log is above")
    raise error_of(reports[0])
