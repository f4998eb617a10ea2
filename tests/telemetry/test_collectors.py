"""A collector that hangs, one that is killed, and none at all: the work goes on, and ends in time."""

import subprocess
import sys
import time

import pytest

from testing.dev_server import COMMAND, environment, run_command
from testing.otlp_collector import Collector
from testing.projects import write_project
from testing.waiting import wait_for

pytestmark = pytest.mark.processes
PATIENT_S = 3600  # the exporter's own limit, so that waiting for it would show
BUSY = """
import time
from distill_dagster import telemetry
from distill_dagster.telemetry import instruments
for n in range(6000):                  # more than the queue holds
    with telemetry.span("work"):
        instruments.add_rows({"accepted": 1})
telemetry.flush()
print("worked", flush=True)
"""


def test_a_collector_that_hangs_neither_blocks_the_work_nor_its_end():
    with Collector(hangs=True) as collector:
        own = {**environment(), **collector.environment, "OTEL_EXPORTER_OTLP_TIMEOUT": str(PATIENT_S)}
        done = subprocess.run(
            [sys.executable, "-c", BUSY], env=own, capture_output=True, text=True, timeout=PATIENT_S / 4
        )
        assert collector.requests  # it has taken some, and answered none
    assert done.returncode == 0, done.stderr
    assert done.stdout == "worked\n"


def test_a_run_ends_while_its_collector_hangs(tmp_path):
    path = write_project(tmp_path)
    with Collector(hangs=True) as collector:
        own = {**collector.environment, "OTEL_EXPORTER_OTLP_TIMEOUT": str(PATIENT_S), "OTEL_BSP_SCHEDULE_DELAY": "100"}
        said = run_command("run", "--config", path, "--until", "raw_dataset", **own)
        assert collector.requests
    assert said.exit_code == 0, said.output


def test_a_run_goes_on_without_its_collector(tmp_path):
    """It is killed as soon as it has taken the first spans."""
    path, counts = write_project(tmp_path), tmp_path / "counts"
    command = [sys.executable, "-m", "testing.otlp_collector", str(counts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as collector:
        try:
            port = collector.stdout.readline().strip()
            own = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "50"}
            asked = [*COMMAND, "run", "--config", str(path), "--until", "raw_dataset"]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            with subprocess.Popen(asked, env={**environment(), **own}, **pipes) as run:
                wait_for(lambda: counts.exists() or run.poll() is not None, "the first spans")
                collector.kill()
                said, _ = run.communicate(timeout=1800)
        finally:
            collector.kill()
    assert counts.read_text()
    assert run.returncode == 0, said
    assert "made  raw_dataset[validation]" in said


def test_an_address_where_nobody_listens_changes_nothing(tmp_path):
    began = time.monotonic()
    own = {**environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", BUSY], env=own, capture_output=True, text=True, timeout=900)
    assert done.stdout == "worked\n", done.stderr
    assert time.monotonic() - began < PATIENT_S / 4
