"""What the API server says, and its log, as the backend takes them."""

import pytest

from distill_dagster.resources.compute.k8s.api import ApiRefusal, Unanswered, connect
from distill_dagster.resources.compute.k8s.following import Looks
from distill_dagster.resources.compute.k8s.log import PodLog
from testing.k8s_api import IMAGE
from testing.waiting import wait_for


def pod_of(*command):
    container = {"name": "c", "image": IMAGE, "command": list(command), "resources": {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}


SLEEPER = pod_of("sleep", "600")


def test_a_look_that_is_refused_says_nothing_of_the_pod_and_is_warned_of_once(k8s):
    api, warnings = connect(None, None), []
    api.create(SLEEPER)
    looks = Looks(api, "p", warnings.append)
    k8s.script(denied=["get pods"])
    assert [looks.look() for _ in range(2)] == [{"metadata": {"name": "p"}, "status": {}}] * 2
    assert len(warnings) == 1
    assert "cannot get resource" in warnings[0]
    k8s.script()
    assert looks.look()["metadata"]["uid"]
    k8s.do("remove", "p")
    assert looks.look() is None


def test_a_conflict_is_not_a_pod_that_is_there(k8s):
    """Both have the status 409; a conflict over a quota passes."""
    api = connect(None, None)
    k8s.script(conflicts=1)
    with pytest.raises(Unanswered, match="Operation cannot be fulfilled on resourcequotas"):
        api.create(SLEEPER)
    api.create(SLEEPER)
    with pytest.raises(ApiRefusal) as refused:
        api.create(SLEEPER)
    assert refused.value.reason == "AlreadyExists"


def test_the_newest_event_is_the_last(k8s):
    api = connect(None, None)
    api.create(SLEEPER)
    reasons = [said.partition(":")[0] for said in api.events("p")]
    assert reasons == ["FailedScheduling", "Scheduled", "FailedMount"]


def test_a_log_whose_stream_is_closed_is_read_again_and_no_line_comes_twice(k8s, monkeypatch, capsys):
    monkeypatch.setattr("distill_dagster.resources.compute.k8s.log.AGAIN_S", 0.05)
    k8s.script(silence_s=0.1)
    api = connect(None, None)
    api.create(pod_of("sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done; printf end"))
    wait_for(k8s.running, "the start")
    log = PodLog(api, "p")
    log.start()
    wait_for(lambda: "line 5" in log.last_lines, "a line behind four breaks")
    wait_for(lambda: k8s.pods()[0]["status"]["phase"] == "Succeeded", "the end of the pod")
    log.close(60)
    assert sum("/p/log" in asked for asked in k8s.asked()) > 2, "it was read again"
    assert log.last_lines.splitlines() == [*(f"line {i}" for i in range(1, 6)), "end"]
    assert capsys.readouterr().out.splitlines() == log.last_lines.splitlines()
