"""Kept workers on a Ray cluster: detached actors, which stay between steps with their models loaded.

A step takes a free one of its kind. If there is none, it starts another, and meanwhile takes one that becomes free: the
new one may wait for the very GPUs that the others hold.
"""

import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from distill_dagster.remote.on_ray import RayKeptWorker
from distill_dagster.remote.order import Ended, WorkOrder
from distill_dagster.resources.compute.ray.cluster import NAMESPACE, Placement
from distill_dagster.resources.compute.ray.tasks import answer, follow, require_nodes
from distill_dagster.resources.compute.sessions import Lost, ProgressWatch
from distill_dagster.store.hashing import sha256

RENEW_S = 1.0
TAKE_S = 5.0  # for a worker's answer
AT_ONCE = 4  # calls of a worker: its order, and those of steps that take, renew and release


def run_kept(order: WorkOrder, placement: Placement, store: str, idle_s: float, watch: ProgressWatch) -> Ended:
    """Run an order in a kept worker of this store, with as many GPUs and on one of the nodes.

    Raises:
        Lost: its node died, it made no progress, or no node is left that could run it.
    """
    import ray

    with hold(f"kept-{sha256(f'{store} {placement.gpus}')[:16]}", placement, idle_s) as actor:
        try:
            return follow(actor.carry_out.remote(order), order.attempt, placement, watch)
        except BaseException:
            order.attempt.give_up()
            ray.kill(actor)
            raise


@contextlib.contextmanager
def hold(kind: str, placement: Placement, idle_s: float) -> Iterator[Any]:
    """A worker of this kind, for this step alone."""
    holder, over = uuid.uuid4().hex, threading.Event()
    actor = _take(kind, holder, placement) or _start(kind, holder, placement, idle_s)

    def renew() -> None:
        while not over.wait(RENEW_S):
            actor.renew.remote(holder)

    threading.Thread(target=renew, daemon=True).start()
    try:
        yield actor
    finally:
        over.set()
        actor.release.remote(holder)


def _take(kind: str, holder: str, placement: Placement, own: str = "") -> Any | None:
    """A free worker of the kind other than `own`; None: each is held, on another node, or does not answer."""
    import ray

    actors: list[Any] = ray.util.list_named_actors(all_namespaces=True)
    for named in actors:
        if named["namespace"] != NAMESPACE or not named["name"].startswith(kind) or named["name"] == own:
            continue
        try:
            actor = ray.get_actor(named["name"], namespace=NAMESPACE)
        except ValueError:
            continue  # it has ended meanwhile
        try:
            if answer(actor.take.remote(holder, placement.nodes), TAKE_S):
                return actor
        except Lost:
            actor.release.remote(holder)
    return None


def _start(kind: str, holder: str, placement: Placement, idle_s: float) -> Any:
    """A new worker, or one that becomes free first."""
    import ray

    name = f"{kind}-{uuid.uuid4().hex[:8]}"
    stays = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "max_concurrency": AT_ONCE}
    kind_of_actor: Any = ray.remote(RayKeptWorker)  # its types do not know `options`
    actor = kind_of_actor.options(**stays, max_restarts=0, **placement.options).remote(idle_s)
    try:
        ref = actor.take.remote(holder, placement.nodes)
        while not ray.wait([ref], timeout=RENEW_S)[0]:
            if other := _take(kind, holder, placement, name):
                ray.kill(actor)
                return other
            require_nodes(placement)
        answer(ref)
    except BaseException:
        ray.kill(actor)
        raise
    return actor
