"""Runs that the daemon launches send their spans before their processes end, and log JSON lines."""

import json

import pytest

from testing.dev_server import DevServer
from testing.otlp_collector import Collector
from testing.projects import write_project
from testing.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(PATIENCE)]


def test_a_run_of_the_daemon_has_a_trace_of_its_id_and_logs_json(tmp_path, monkeypatch):
    path = write_project(tmp_path, automation={"enabled": True, "observe_seconds": 5})
    with Collector() as collector:
        for name, value in {**collector.environment, "DISTILL_LOG_FORMAT": "json"}.items():
            monkeypatch.setenv(name, value)
        with DevServer(path) as server:
            step = wait_for(lambda: next(iter(collector.named("raw_dataset")), None), "the span of a step")
            run = wait_for(lambda: collector.parent(step), "the span of its run")
            rows = wait_for(lambda: collector.sum("distill.rows", **{"distill.stage": "raw_dataset"}), "its metrics")
            lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    assert (run.name, run.parent_id) == ("run", "")
    assert run.trace_id == step.attributes["distill.run_id"].replace("-", "")
    assert rows > 0
    said = [line for line in lines if line.get("message", "").startswith("made because")]
    assert {line["stage"] for line in said} >= {"raw_dataset"}
    assert step.attributes["distill.run_id"] in {line["run_id"] for line in said}
    assert step.trace_id in {line["trace_id"] for line in said}
