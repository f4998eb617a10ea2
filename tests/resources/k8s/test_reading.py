"""What a pod's status means: tried again, an error, or an end."""

import re
from importlib.metadata import version

import pytest

from distill_dagster.errors import ComputeError
from distill_dagster.remote.in_pod import FAILED, OTHER_VERSION, UNSEEN
from distill_dagster.remote.node import PACKAGE
from distill_dagster.remote.order import Ended
from distill_dagster.resources.compute.k8s.reading import PodGone, conclude, require_startable
from distill_dagster.resources.compute.k8s.settings import K8sSettings

OWN = K8sSettings(image="i:1", claims={"/project": "c"}, store="/project/store", kind="train", pending_minutes=10)
LOG = "Traceback\nNo module named distill_dagster"
LIMITS = {"containers": [{"resources": {"limits": {"memory": "8192Mi"}}}]}
FINE, FAULTY = Ended(0, 100), Ended(1, 100)


def over(code=None, terminated=(), **status):
    state = {} if code is None else {"terminated": {"exitCode": code, **dict(terminated)}}
    own = {"phase": "Failed", "containerStatuses": [{"state": state}], **status}
    return {"metadata": {"name": "p"}, "spec": LIMITS, "status": own}


def waiting(reason=None, message="", **status):
    states = [{"state": {"waiting": {"reason": reason, "message": message}}}] if reason else []
    return {"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": states, **status}}


@pytest.mark.parametrize(
    "pod",
    [
        over(137),
        over(137, reason="Evicted", message="The node was low on resource: memory."),
        over(FAILED, conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]),
        over(reason="NodeShutdown", message="Pod was terminated in response to imminent node shutdown."),
        over(reason="UnexpectedAdmissionError", message="Allocate failed due to requested number of devices"),
        over(143),
    ],
)
def test_a_pod_that_the_cluster_ended_is_tried_again(pod):
    with pytest.raises(PodGone):
        conclude(pod, None, LOG, OWN)
    assert conclude(pod, FINE, LOG, OWN) == FINE, "its worker had ended well before"


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (over(137, {"reason": "OOMKilled"}), r"more than its 8192Mi .*`memory_gb` of `compute.k8s.train`"),
        (over(143, reason="DeadlineExceeded"), r"168 hours \(`compute.k8s.deadline_hours`\)"),
        (over(UNSEEN), r"does not see the store /project/store"),
        (over(OTHER_VERSION), r"(?s)image i:1 has another .*No module.*use the image of the step's version"),
        (over(1), r"exit status 1\).*\n.*\nNo module named distill_dagster"),
        (over(128, {"reason": "StartError", "message": "python: not found"}), "python: not found"),
    ],
)
def test_what_no_other_pod_would_do_better_is_an_error(pod, said):
    with pytest.raises(ComputeError, match=said):
        conclude(pod, None, LOG, OWN)


def test_an_image_of_another_version_is_refused_with_both_versions():
    log = f"the image has {PACKAGE} 0.0.1, and the step {version(PACKAGE)}"
    with pytest.raises(ComputeError) as refused:
        conclude(over(OTHER_VERSION), None, log, OWN)
    assert "0.0.1" in str(refused.value)
    with pytest.raises(ComputeError, match=re.escape(f"which has {version(PACKAGE)} (its log cannot be read)")):
        conclude(over(OTHER_VERSION), None, "", OWN)


def test_a_worker_that_failed_is_told_as_it_ended():
    assert conclude(over(FAILED), FAULTY, LOG, OWN) == FAULTY


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (waiting("ImagePullBackOff", "Back-off pulling image"), "Back-off pulling image.*correct `compute.k8s.image`"),
        (waiting("CreateContainerConfigError", "couldn't find key K in Secret n/s"), "couldn't find key K.*make the"),
        (waiting("InvalidImageName", "couldn't parse"), "couldn't parse"),
        (waiting("CreateContainerError", "no such path"), "no such path: correct `compute.k8s`"),
    ],
)
def test_a_pod_that_cannot_start_is_refused_at_once(pod, said):
    with pytest.raises(ComputeError, match=said):
        require_startable(pod, 0, [], OWN)


def test_a_pod_that_may_still_start_is_waited_for_until_the_limit():
    pulling, no_node = waiting("ErrImagePull", "not found"), {"type": "PodScheduled", "status": "False"}
    busy = waiting(conditions=[{**no_node, "reason": "Unschedulable", "message": "3 Insufficient nvidia.com/gpu"}])
    for pod in (pulling, busy, waiting("ContainerCreating"), waiting()):
        require_startable(pod, 599, [], OWN)
        require_startable(pod, 1e9, [], OWN.model_copy(update={"pending_minutes": 0}))
    with pytest.raises(ComputeError, match=r"10 minutes.*Unschedulable: 3 Insufficient nvidia.com/gpu: add nodes"):
        require_startable(busy, 601, [], OWN)
    with pytest.raises(ComputeError, match="FailedMount: no volume"):
        require_startable(waiting("ContainerCreating"), 601, ["Pulled: x", "FailedMount: no volume"], OWN)
