"""One pod, from its creation to its end, which is at the latest that of the step.

The API is asked every second or two, and not believed alone: the worker's messages and its end are files in the store,
so an attempt whose API is away for a while still goes on, and can end well.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from distill_dagster.errors import ComputeError
from distill_dagster.remote.attempt import SEEN_WITHIN_S
from distill_dagster.remote.in_pod import read_ended
from distill_dagster.remote.order import Ended
from distill_dagster.resources.compute.k8s.api import ApiRefusal, Document, PodApi, Unanswered, patiently
from distill_dagster.resources.compute.k8s.log import PodLog
from distill_dagster.resources.compute.k8s.pod import KILL_S, Wanted
from distill_dagster.resources.compute.k8s.reading import (
    SAID_HOW,
    PodGone,
    conclude,
    exit_status,
    is_over,
    require_startable,
)
from distill_dagster.resources.compute.k8s.settings import K8sSettings
from distill_dagster.resources.compute.sessions import ProgressWatch

LOOK_S = 1.0
UNREACHED_S = 30.0  # beyond its grace, for a pod that is being deleted: then its node does not answer
ENDED_S = 10.0  # from the worker's end to that of its pod, which says whether memory ran out
LOG_S = 10.0  # for what is left of the log when the pod has ended
ALREADY_THERE = "AlreadyExists"


def run_pod(
    api: PodApi,
    pod: dict[str, Any],
    wanted: Wanted,
    watch: ProgressWatch,
    own: K8sSettings,
    warn: Callable[[str], None],
) -> Ended:
    """Make a pod, follow it to its end, and delete it. `warn` is called if it cannot be looked at meanwhile.

    Raises:
        Lost: it ended by no fault of the worker, or made no progress.
        ComputeError: it cannot be made, cannot start, or could not run the worker.
    """
    name = pod["metadata"]["name"]
    log = PodLog(api, name)
    try:
        patiently(lambda: _make(api, pod))
        ended = _follow(Looks(api, name, warn), wanted, watch, own, log)
    except PodGone:
        _delete(api, name, 0)
        raise
    except BaseException:
        wanted.attempt.give_up()
        _delete(api, name)
        with contextlib.suppress(ComputeError):
            api.wait_until_gone(name, own.grace_s + KILL_S)
        raise
    finally:
        log.close(LOG_S)
    _delete(api, name, 0)
    return ended


def _make(api: PodApi, pod: dict[str, Any]) -> None:
    """Make the pod; one that is there is that of a request whose answer was lost, since no two share a name."""
    try:
        api.create(pod)
    except ApiRefusal as e:
        if e.reason != ALREADY_THERE:
            raise ComputeError(
                f"the Kubernetes API refuses the pod: {e}; correct `compute.k8s`, or what it allows"
            ) from e


def _delete(api: PodApi, name: str, grace_s: int | None = None) -> None:
    """Delete the pod. One that cannot be deleted now ends when its worker does, and a later step sweeps it."""
    with contextlib.suppress(Unanswered, ApiRefusal):
        api.delete(name, grace_s)


def _follow(looks: "Looks", wanted: Wanted, watch: ProgressWatch, own: K8sSettings, log: PodLog) -> Ended:
    attempt, made = wanted.attempt, time.monotonic()
    leaves, ends = _Since(), _Since()
    while True:
        pod, ended = looks.look(), read_ended(attempt)
        if pod is None or (ended and ends.seconds(True) > ENDED_S):
            if ended:
                return ended
            raise PodGone("its pod was deleted")
        if is_over(pod):
            log.start()
            ended = _read_ended(wanted, pod)
            log.close(LOG_S)
            return conclude(pod, ended, log.last_lines, own)
        if leaves.seconds("deletionTimestamp" in pod["metadata"]) > own.grace_s + KILL_S + UNREACHED_S:
            raise PodGone("its pod was deleted, and its node does not say that it has ended")
        if attempt.started():
            log.start()
            watch.look()
        else:
            watch.keep_job()
            _require_startable(looks.api, pod, time.monotonic() - made, own)
        time.sleep(LOOK_S)


class Looks:
    """Looks at a pod that was made.

    A look that is refused, as while a token expires or rights change, tells nothing of the pod, and so ends no worker.
    """

    def __init__(self, api: PodApi, name: str, warn: Callable[[str], None]) -> None:
        self.api, self._name, self._warn = api, name, warn
        self._has_warned = False

    def look(self) -> Document | None:
        """The pod; None if it is gone; one without a status if the API gives no answer."""
        try:
            return self.api.get(self._name)
        except Unanswered:
            pass
        except ApiRefusal as e:
            if not self._has_warned:
                self._warn(f"the pod {self._name} cannot be looked at, and its worker goes on: {e}")
            self._has_warned = True
        return {"metadata": {"name": self._name}, "status": {}}


class _Since:
    """For how long something has been so."""

    def __init__(self) -> None:
        self._began: float | None = None

    def seconds(self, is_so: bool) -> float:
        """0 while it is not."""
        if not is_so:
            return 0.0
        self._began = self._began or time.monotonic()
        return time.monotonic() - self._began


def _require_startable(api: PodApi, pod: dict[str, Any], waited_s: float, own: K8sSettings) -> None:
    is_late = own.pending_minutes and waited_s > own.pending_minutes * 60
    require_startable(pod, waited_s, api.events(pod["metadata"]["name"]) if is_late else [], own)


def _read_ended(wanted: Wanted, pod: dict[str, Any]) -> Ended | None:
    """How the worker ended. A pod that has said so is believed, but this machine may see the file later."""
    until = time.monotonic() + (SEEN_WITHIN_S if exit_status(pod) in SAID_HOW else 0)
    while (ended := read_ended(wanted.attempt)) is None and time.monotonic() < until:
        time.sleep(LOOK_S)
    return ended
