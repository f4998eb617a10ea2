"""One attempt as a Ray task, which ends with the step: by its own end, an error, an interrupt, or SIGKILL.

Ray retries nothing here (`max_retries=0`): `persist` does, since it also starts what made no progress again, gives each
attempt folders of its own, and avoids the node that lost one.
"""

import contextlib
import time
from typing import Any

from distill_dagster.errors import ComputeError
from distill_dagster.remote.attempt import Attempt
from distill_dagster.remote.on_ray import run_order
from distill_dagster.remote.order import GRACE_S, Ended, WorkOrder
from distill_dagster.resources.compute.ray.cluster import Placement, nodes
from distill_dagster.resources.compute.sessions import Lost, ProgressWatch
from distill_dagster.telemetry.instruments import add_wait

LOOK_S = 1.0


def run_task(order: WorkOrder, placement: Placement, name: str, watch: ProgressWatch) -> Ended:
    """Run an order as a task.

    Raises:
        Lost: its node died, it made no progress, or no node is left that could run it.
        ComputeError: the node cannot run the package.
    """
    import ray

    task: Any = ray.remote(run_order)  # its types do not know `options`
    ref = task.options(name=name, max_retries=0, **placement.options).remote(order)
    try:
        return follow(ref, order.attempt, placement, watch)
    except BaseException:
        cancel(ref, order.attempt)
        raise


def follow(ref: Any, attempt: Attempt, placement: Placement, watch: ProgressWatch) -> Ended:
    """What an attempt returns. The watch begins when it has started: a worker may wait long for its GPUs."""
    import ray

    asked, waits = time.monotonic(), True
    while True:
        done, _ = ray.wait([ref], timeout=LOOK_S)
        if waits and attempt.started():
            waits = False
            add_wait("cluster", time.monotonic() - asked)  # to the second
        if done:
            return answer(ref)
        if not waits:
            watch.look()
        else:
            watch.keep_job()
            require_nodes(placement)


def require_nodes(placement: Placement) -> None:
    """Raise Lost if too few nodes of the placement are left: Ray lets what waits for them wait for ever."""
    if len({node.id for node in nodes()} & set(placement.nodes)) < placement.count:
        raise Lost("while it waited, the nodes that could run it have left the cluster")


def answer(ref: Any, timeout: float | None = None) -> Any:
    """The value of a reference. A lost node raises `Lost`; what the node or Ray cannot do raises ComputeError."""
    import ray
    from ray import exceptions

    lost = (
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.ActorDiedError,
        exceptions.ActorUnavailableError,
        exceptions.TaskUnschedulableError,
        exceptions.ActorUnschedulableError,
    )
    try:
        return ray.get(ref, timeout=timeout)
    except lost as e:
        raise Lost(_first_line(e)) from e
    except exceptions.GetTimeoutError as e:
        raise Lost("its node does not answer") from e
    except exceptions.RayTaskError as e:
        raise ComputeError(f"a node of the Ray cluster cannot run the worker: {e.cause!r}") from e
    except exceptions.RayError as e:
        raise ComputeError(f"Ray cannot run the worker: {_first_line(e)}") from e


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def cancel(ref: Any, attempt: Attempt) -> None:
    """End a task: a training that runs writes a checkpoint first, if that takes a few seconds at most.

    One that has ended is left alone: Ray 2.60 aborts the driver if a task is cancelled while its end is being recorded.
    """
    import ray

    attempt.give_up()
    ended: list[Any] = []
    try:
        if attempt.started():
            ended, _ = ray.wait([ref], timeout=GRACE_S + LOOK_S)
    finally:
        if not ended:
            with contextlib.suppress(Exception):
                ray.cancel(ref, force=True)
