"""What the status of a pod means: whether it can start, how it ended, and whose fault that is.

By no fault of the worker, and tried again:   evicted, deleted, preempted, its node shut down or lost, killed
An error with the API's words:                an image that cannot be pulled, a missing Secret, no memory left, the
                                              deadline, no node for it within `pending_minutes`
"""

from importlib.metadata import version
from typing import Any

from distill_dagster.errors import ComputeError
from distill_dagster.remote.in_pod import FAILED, OTHER_VERSION, TERMINATED, UNSEEN
from distill_dagster.remote.node import PACKAGE
from distill_dagster.remote.order import Ended
from distill_dagster.resources.compute.k8s.settings import K8sSettings
from distill_dagster.resources.compute.sessions import Lost

Document = dict[str, Any]
CANNOT_START = {  # reasons for which a container waits that no waiting mends
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
WAYS_OUT = {
    "CreateContainerConfigError": "make the Secret `compute.k8s.keys_from` with this entry",
    "ErrImageNeverPull": "put the image on the nodes, or change `compute.k8s.pull_policy`",
    "ImagePullBackOff": "correct `compute.k8s.image`, or name a Secret of its registry in `compute.k8s.pull_secrets`",
    "InvalidImageName": "correct `compute.k8s.image`",
}
KILLED = 128 + 9
SAID_HOW = (0, FAILED, TERMINATED)  # exit statuses of a pod that has written how its worker ended


class PodGone(Lost):
    """A pod has ended, or nobody can reach it."""


def is_over(pod: Document) -> bool:
    """Whether the pod has ended."""
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def exit_status(pod: Document) -> int | None:
    """The exit status of its container; None if it has none."""
    return _terminated(pod).get("exitCode")


def require_startable(pod: Document, waited_s: float, events: list[str], own: K8sSettings) -> None:
    """Refuse to wait for a pod that cannot start, or that has waited too long.

    Raises:
        ComputeError: with the reason that the cluster gives.
    """
    name, waiting = pod["metadata"]["name"], _state(pod).get("waiting") or {}
    if (reason := waiting.get("reason")) in CANNOT_START:
        way_out = WAYS_OUT.get(reason, "correct `compute.k8s`")
        raise ComputeError(f"the pod {name} cannot start: {reason}: {waiting.get('message', '')}: {way_out}")
    if own.pending_minutes and waited_s > own.pending_minutes * 60:
        said = _unscheduled(pod) or (events[-1] if events else waiting.get("reason") or "no reason is given")
        raise ComputeError(
            f"the pod {name} has not started for {own.pending_minutes:g} minutes (`pending_minutes`): {said}: add "
            "nodes, or lower what `compute` needs and `compute.k8s` requests"
        )


def conclude(pod: Document, ended: Ended | None, log: str, own: K8sSettings) -> Ended:
    """How the worker of a pod ended that is over.

    Raises:
        PodGone: by no fault of its own.
        ComputeError: it could not run.
    """
    name, status, code = pod["metadata"]["name"], pod["status"], exit_status(pod)
    if ended and ended.code == 0:
        return ended
    if status.get("reason") == "DeadlineExceeded":
        said = f"the pod {name} ran for {own.deadline_hours:g} hours (`compute.k8s.deadline_hours`)"
        raise ComputeError(f"{said}: raise it; what it has done is kept")
    if _terminated(pod).get("reason") == "OOMKilled":
        limit = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
        raise ComputeError(
            f"the pod {name} needed more than its {limit} of main memory, and was killed: raise `memory_gb` of "
            f"`compute.k8s.{own.kind}`, or of `compute.k8s.pod`"
        )
    if code == UNSEEN:
        raise ComputeError(
            f"the pod {name} does not see the store {own.store}: `compute.k8s.claims` must mount the volume that "
            "Dagster's process has there"
        )
    if code == OTHER_VERSION:
        raise ComputeError(
            f"the image {own.image} has another version of {PACKAGE} than the step, which has {version(PACKAGE)} "
            f"({log.strip() or 'its log cannot be read'}): use the image of the step's version in `compute.k8s.image`"
        )
    if why := _disrupted(pod):
        raise PodGone(why)
    if ended:
        return ended
    if code is None or code in (KILLED, TERMINATED):
        raise PodGone(f"its pod was killed ({status.get('message') or f'exit status {code}'})")
    said = _terminated(pod).get("message") or f"the last lines of its log:\n{log}"
    raise ComputeError(f"the pod {name} cannot run the worker (exit status {code}): {said}")


def _disrupted(pod: Document) -> str | None:
    """Why the cluster ended the pod; None if it did not."""
    status = pod["status"]
    for condition in status.get("conditions") or []:
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return f"its pod was disrupted: {condition.get('reason')}: {condition.get('message', '')}"
    if reason := status.get("reason"):
        return f"its pod failed: {reason}: {status.get('message', '')}"
    return None


def _unscheduled(pod: Document) -> str | None:
    """Why no node runs the pod."""
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason')}: {condition.get('message', '')}"
    return None


def _state(pod: Document) -> Document:
    statuses = pod["status"].get("containerStatuses") or []
    return statuses[0].get("state") or {} if statuses else {}


def _terminated(pod: Document) -> Document:
    return _state(pod).get("terminated") or {}
