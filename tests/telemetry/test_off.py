"""Without OTEL_EXPORTER_OTLP_ENDPOINT nothing is imported, and nothing stands between a teacher and its record."""

import json
import logging
import subprocess
import sys

import pytest

from distill_dagster import telemetry
from distill_dagster.config import DataConfig
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.specs import ReadSpec
from distill_dagster.teachers.counted import answer_counted
from distill_dagster.telemetry import instruments
from distill_dagster.telemetry.calls import add_retry, one_request
from distill_dagster.telemetry.logs import JsonLines
from distill_dagster.telemetry.switch import DISABLED, ENDPOINT, OWN, PROTOCOL

WORK = """
import runpy, sys
sys.argv = ["workers", "read_rows"]
try:
    runpy.run_module("distill_dagster.workers", run_name="__main__")
except SystemExit as e:
    assert e.code == 0, e.code
print([name for name in sys.modules if name.partition(".")[0] == "opentelemetry"])
"""


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in (ENDPOINT, DISABLED, PROTOCOL, *OWN, "TRACEPARENT", "DISTILL_WHERE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.processes
def test_a_worker_without_the_endpoint_imports_nothing_of_opentelemetry(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"question": "2 + 2?", "answer": "4"}) + "\n")
    spec = ReadSpec(
        files=[SourceFile("a", "train", str(tmp_path / "a.jsonl"))],
        data=DataConfig(train="*.jsonl", test="*.jsonl"),
        task="qa",
        unique_ids=False,
        out=str(tmp_path),
    )
    command = [sys.executable, "-c", WORK]
    done = subprocess.run(command, input=spec.model_dump_json(), capture_output=True, text=True, timeout=600)
    result, modules = done.stdout.splitlines()
    assert json.loads(result)["counts"]["rows"] == 1
    assert modules == "[]"


def test_everything_is_a_no_op_and_hands_nothing_on():
    with telemetry.span("work", {"distill.rows": 1}) as span, one_request() as request:
        span.set({"distill.outcome": "made"})
        assert span is request
        assert not telemetry.is_inside()
        assert telemetry.handed(far=True) == {}
    add_retry("timeout")
    instruments.add_rows({"accepted": 1})
    instruments.add_gpu_seconds(1.0)
    instruments.add_wait("device", 1.0)
    instruments.add_stage_time("made", 1.0)
    telemetry.flush()


def test_a_teacher_gets_the_record_itself():
    class Asked:
        def answer(self, requests, record):
            self.got = requests, record

    teacher, requests = Asked(), []
    answer_counted(teacher, requests, print, "teacher")
    assert teacher.got == (requests, print)


def test_where_travels_by_the_environment(monkeypatch):
    where = telemetry.Whereabouts("support", None, "teacher_outputs", "train-part-03")
    with telemetry.inside(where):
        handed = telemetry.handed()
    assert telemetry.here() == telemetry.Whereabouts()
    monkeypatch.setenv("DISTILL_WHERE", handed["DISTILL_WHERE"])
    assert telemetry.here() == where
    for text in ("{", "[]", '{"stage": 3}', '{"later": "field"}'):
        monkeypatch.setenv("DISTILL_WHERE", text)
        assert telemetry.here() == telemetry.Whereabouts()


def test_a_log_line_is_json_without_secrets():
    secret = "sk-proj-" + "a1B2c3D4" * 4
    try:
        raise ValueError(f"Incorrect API key: {secret}")
    except ValueError:
        record = logging.LogRecord(
            "distill_dagster.x", 40, "", 0, "key %s of ana@example.org", (secret,), sys.exc_info()
        )
    with telemetry.inside(telemetry.Whereabouts("support", "r-1", "teacher_outputs", "a")):
        line = JsonLines().format(record)
    said = json.loads(line)
    assert secret not in line
    assert said["message"] == "key [api_key] of [email]"
    assert said["error"] == "ValueError"
    assert {name: said[name] for name in ("level", "project", "run_id", "stage", "shard")} == {
        "level": "error",
        "project": "support",
        "run_id": "r-1",
        "stage": "teacher_outputs",
        "shard": "a",
    }
