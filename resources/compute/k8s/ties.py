"""What ties a pod to its step, since nothing does on its own: a sign of life, an owner, a sweep.

While a step lives, it touches a file of its job, and its pod ends the worker when the file no longer changes
(remote/in_pod.py). A step that runs in a pod is the owner of the pods that it makes, and Kubernetes deletes these with
it. The rest is swept by the next step of the store: pods of steps that were killed, which wait for a GPU or have ended.
"""

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill_dagster.remote.attempt import ALIVE, JOBS, Attempt
from distill_dagster.remote.in_pod import changed_at
from distill_dagster.remote.node import PACKAGE
from distill_dagster.resources.compute.k8s.api import IN_CLUSTER, PodApi
from distill_dagster.resources.compute.k8s.pod import JOB, NAME, STORE, store_label
from distill_dagster.resources.compute.k8s.settings import K8sSettings

MOST_S = 5.0  # between two signs of life
FORGOTTEN = 3  # times `orphan_s`: then a step that shows no sign of life is dead
POD_NAME, POD_UID, POD_NAMESPACE = "POD_NAME", "POD_UID", "POD_NAMESPACE"  # of the step's own pod, if it has one


@contextlib.contextmanager
def showing_life(attempt: Attempt, orphan_s: float) -> Iterator[None]:
    """Touch the job's file inside the block, from a thread."""
    over = threading.Event()

    def show() -> None:
        while not over.wait(min(MOST_S, orphan_s / 5)):
            with contextlib.suppress(OSError):
                os.utime(attempt.alive)

    attempt.alive.touch()
    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def owner_of(api: PodApi) -> dict[str, Any] | None:
    """The reference to this process's own pod, which owns those that it makes; None if it runs in none.

    An owner must be in the namespace of what it owns.
    """
    if IN_CLUSTER not in os.environ or os.environ.get(POD_NAMESPACE, api.namespace) != api.namespace:
        return None
    name, uid = os.environ.get(POD_NAME) or socket.gethostname(), os.environ.get(POD_UID)
    if uid is None:
        pod = api.get(name)
        uid = pod["metadata"]["uid"] if pod else None
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid} if uid else None


def sweep(api: PodApi, own: K8sSettings) -> list[str]:
    """Delete the pods of this store whose step is dead; their names."""
    selector = f"{NAME}={PACKAGE},{STORE}={store_label(own)}"
    limit_s = FORGOTTEN * own.orphan_s
    swept = []
    for pod in api.pods(selector):
        job = Path(own.store) / JOBS / pod["metadata"]["labels"][JOB]
        if _age_s(pod) > limit_s and silent_s(job) > limit_s:
            api.delete(pod["metadata"]["name"])
            swept.append(pod["metadata"]["name"])
    return swept


def _age_s(pod: dict[str, Any]) -> float:
    made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return (datetime.now(UTC) - made).total_seconds()


def silent_s(job: Path) -> float:
    """Seconds since the job's step showed life, by the clock of the storage; without end if the job's folder is gone.

    0 if nothing is known about the step, so that its pod is left: the storage does not answer or is full, the folder of
    all jobs is gone too, as where a volume is not mounted, or the job is there without its file.
    """
    try:
        if not _is_there(job):
            return float("inf") if _is_there(job.parent) else 0.0
        if not (changed := changed_at(job / ALIVE)):
            return 0.0
        probe = job / f"now-{uuid.uuid4().hex}"
        probe.touch()
        try:
            return (changed_at(probe) - changed) / 1e9
        finally:
            probe.unlink()
    except OSError:
        return 0.0


def _is_there(folder: Path) -> bool:
    """Whether there is such a folder.

    Raises:
        OSError: the storage does not answer.
    """
    try:
        os.stat(folder)
    except FileNotFoundError:
        return False
    return True
