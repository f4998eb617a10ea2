"""Steps whose workers run in pods of the stand-in, as real processes: they publish, survive losses, and end."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.remote.attempt import JOBS
from distill_dagster.resources.compute.k8s.pod import WORKER
from distill_dagster.resources.compute.k8s.ties import FORGOTTEN
from testing.api_project import CONCURRENCY, SHARD_ROWS
from testing.k8s_api import on_k8s
from testing.projects import run_project, write_project
from testing.waiting import wait_for

ROOT = Path(__file__).parents[3]
SHARD = "train-part-00"
KEY = "sk-made-4711"


def answers_of(path):
    return Project(load_config(path)).store.find("teacher_outputs", SHARD)


class Step:
    """The answers to a shard, made by a process of its own; `said` is its log."""

    def __init__(self, path: Path, shard: str = SHARD, **variables: str) -> None:
        self.log = path.parent / "step.log"
        command = [sys.executable, "-m", "testing.cluster_step", str(path), shard]
        own = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=log, stderr=log)

    def __enter__(self) -> "Step":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_for_end(self) -> int:
        wait_for(lambda: self.process.poll() is not None, "the end of the step")
        return self.process.returncode


def test_a_project_with_local_models_is_made_in_pods_and_its_training_in_two_ranks(k8s, tmp_path, instance):
    none = {"gpus": 0}
    compute = on_k8s(tmp_path) | {"train": none | {"processes": 2}}
    outcome = run_project(load_config(write_project(tmp_path, compute=compute)), instance, "student_checkpoint")
    assert not outcome.failed
    commands = {pod["metadata"]["labels"][WORKER]: pod["spec"]["containers"][0]["command"] for pod in k8s.made()}
    assert set(commands) == {"prepare_model", "generate_shard", "train_student", "try_model"}
    assert commands["train_student"][commands["train_student"].index("--ranks") + 1] == "2"
    assert not k8s.alive()


def the_running_pod(k8s, server) -> str:
    """The pod whose worker has sent a request."""
    wait_for(lambda: server.counts()["total"], "a request of the worker")
    (pod,) = k8s.running()
    return pod["metadata"]["name"]


def test_a_step_publishes_what_its_pod_has_made_and_the_key_is_in_no_pod(k8s, ready, server):
    of_pod = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    path = ready(endpoint={"api_key": "TEACHER_KEY"}, keys_from="keys", keys=list(of_pod), env=["OPENLY"])
    k8s.script(secrets={"keys": {"TEACHER_KEY": KEY, **of_pod}}, conflicts=1)
    server.script(key=KEY)
    with Step(path, TEACHER_KEY="not-the-one-of-the-pod", OPENLY="said aloud") as step:
        assert step.wait_for_end() == 0, step.said
    assert answers_of(path).counts["ok"] == SHARD_ROWS
    assert server.counts()["total"] == SHARD_ROWS
    assert "no telemetry is sent: OTEL_EXPORTER_OTLP_PROTOCOL is grpc" in step.said, "the log of the worker alone"
    (pod,) = k8s.made()
    assert KEY not in json.dumps(pod)
    assert "not-the-one-of-the-pod" not in json.dumps(pod)
    assert "said aloud" in json.dumps(pod)
    assert not k8s.alive()
    assert not list((path.parent / "store" / JOBS).iterdir())


@pytest.mark.parametrize("fault", ["evict", "lose", "delete"])
def test_a_lost_pod_is_made_again_elsewhere_and_few_rows_are_paid_twice(k8s, ready, server, fault):
    path = ready(grace_s=1)
    server.script(latency=1)
    with Step(path) as step:
        wait_for(lambda: server.counts()["total"] > CONCURRENCY, "the second request of a slot")
        (pod,) = k8s.running()
        k8s.do(fault, pod["spec"]["nodeName"] if fault == "lose" else pod["metadata"]["name"])
        assert step.wait_for_end() == 0, step.said
    assert answers_of(path).counts["ok"] == SHARD_ROWS
    assert server.counts()["total"] <= SHARD_ROWS + CONCURRENCY
    first, second = k8s.made()
    assert second["spec"]["nodeName"] != first["spec"]["nodeName"]
    assert not k8s.alive()


def test_a_pod_that_needs_more_memory_than_its_limit_is_not_made_again(k8s, ready, server):
    path = ready()
    server.script(rules=[{"fault": "hang", "seconds": 600}])
    with Step(path) as step:
        k8s.do("oom", the_running_pod(k8s, server))
        assert step.wait_for_end() == 1
    assert "needed more than its 8192Mi of main memory" in step.said
    assert len(k8s.made()) == 1


def test_a_pod_that_reaches_its_deadline_is_not_made_again(k8s, ready, server):
    path = ready(deadline_hours=5 / 3600)
    server.script(rules=[{"fault": "hang", "seconds": 600}])
    with Step(path) as step:
        assert step.wait_for_end() == 1
    assert "(`compute.k8s.deadline_hours`): raise it" in step.said
    assert len(k8s.made()) == 1


def test_a_worker_without_progress_is_started_again(k8s, ready, server):
    began = time.monotonic()
    with Step(ready(), "train-part-01") as step:
        assert step.wait_for_end() == 0, step.said
    start_s = time.monotonic() - began  # of a worker, on this machine at this load
    path = ready(stalled_minutes=max(10, 2 * start_s) / 60, grace_s=1)
    server.script(rules=[{"fault": "hang", "seconds": 600, "times": 1}])
    with Step(path) as step:
        assert step.wait_for_end() == 0, step.said
    assert "no message and no growth" in step.said
    assert answers_of(path).counts["ok"] == SHARD_ROWS


def test_a_step_that_is_ended_deletes_its_pod(k8s, ready, server, record_property):
    path = ready(grace_s=5)
    server.script(rules=[{"fault": "hang", "seconds": 600}])
    with Step(path) as step:
        pod = the_running_pod(k8s, server)
        step.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        wait_for(lambda: pod not in k8s.alive(), "the end of the pod")
        record_property("gone_s", time.monotonic() - began)  # 10 s at most, on an idle machine
        assert step.wait_for_end() == 1
    assert any(line.startswith(f"DELETE /api/v1/namespaces/distill/pods/{pod}") for line in k8s.asked())


def test_a_pod_ends_when_its_step_was_killed_and_the_next_step_sweeps_it(k8s, ready, server, record_property):
    path = ready(orphan_s=5, grace_s=1)
    server.script(rules=[{"fault": "hang", "seconds": 600, "times": 1}])  # a process waits for its first answer
    with Step(path) as step:
        pod = the_running_pod(k8s, server)
        step.process.kill()
        began = time.monotonic()
        wait_for(lambda: k8s.pods()[0]["status"]["phase"] == "Failed", "the worker's end")
        record_property("ended_s", time.monotonic() - began)  # after `orphan_s` and `grace_s`
    (left,) = k8s.pods()
    made = datetime.fromisoformat(left["metadata"]["creationTimestamp"])
    forgotten = made + timedelta(seconds=FORGOTTEN * 5 + 1)  # a younger pod is left to a later step
    wait_for(lambda: datetime.now(UTC) > forgotten, "the time after which a step is dead")
    with Step(path) as step:
        assert step.wait_for_end() == 0, step.said
    assert f"deleted {pod}: pods whose step was killed" in step.said
    assert answers_of(path).counts["ok"] == SHARD_ROWS
    assert not k8s.alive()


def test_a_step_that_was_frozen_starts_its_worker_again(k8s, ready, server):
    path = ready(orphan_s=5, grace_s=1)
    server.script(rules=[{"fault": "hang", "seconds": 600, "times": 1}])
    with Step(path) as step:
        the_running_pod(k8s, server)
        step.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: k8s.pods()[0]["status"]["phase"] == "Failed", "the worker's end")
        step.process.send_signal(signal.SIGCONT)
        assert step.wait_for_end() == 0, step.said
    assert "attempt 1 of generate_shard on" in step.said
    assert len(k8s.made()) == 2
    assert answers_of(path).counts["ok"] == SHARD_ROWS


@pytest.mark.parametrize("trouble", [{"away": True}, {"denied": ["get pods"]}])
def test_an_api_that_does_not_answer_for_a_while_costs_nothing(k8s, ready, server, trouble):
    path = ready()
    server.script(latency=0.5)
    with Step(path) as step:
        the_running_pod(k8s, server)
        k8s.script(**trouble)
        wait_for(lambda: len(k8s.asked()) > 1, "a request that is not answered")
        wait_for(lambda: server.counts()["answered"] == SHARD_ROWS, "the answers")
        k8s.script()
        assert step.wait_for_end() == 0, step.said
    assert server.counts()["total"] == SHARD_ROWS
    assert answers_of(path).counts["ok"] == SHARD_ROWS
    assert step.said.count("cannot be looked at, and its worker goes on") == ("denied" in trouble)


def refused(path) -> str:
    """What a step says that fails without having paid for anything."""
    with Step(path) as step:
        assert step.wait_for_end() == 1
    return step.said


def test_what_can_never_run_is_refused_with_the_clusters_words(k8s, ready, server):
    assert "ImagePullBackOff" in refused(ready(image="gone:1"))
    assert "correct `compute.k8s.image`" in refused(ready(image="gone:1"))
    no_secret = ready(endpoint={"api_key": "TEACHER_KEY"}, keys_from="keys")
    assert 'secret "keys" not found' in refused(no_secret)
    k8s.script(quota="exceeded quota: gpus, requested: pods=1, used: pods=3, limited: pods=3")
    assert "exceeded quota: gpus" in refused(ready())
    k8s.script(denied=["create pods"])
    assert "cannot create resource" in refused(ready())
    assert 'namespaces "elsewhere" not found' in refused(ready(namespace="elsewhere"))
    assert server.counts()["total"] == 0
    assert not k8s.alive()


def test_a_pod_for_which_there_is_no_node_is_not_waited_for_without_end(k8s, ready, server):
    path = ready(pod={"cpus": 500}, pending_minutes=0.02)
    said = refused(path)
    assert "Unschedulable: 0/3 nodes are available" in said
    assert "`pending_minutes`" in said
