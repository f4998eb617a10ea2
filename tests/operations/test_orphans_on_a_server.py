"""Runs whose process is gone, where the database is a server: only those of this machine are looked at."""

import os
import socket
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from distill_dagster.assets.run_tags import HOST
from distill_dagster.operations.orphans import find_orphans
from testing.postgres import needs_postgres, open_postgres

pytestmark = [pytest.mark.processes, needs_postgres]


@dg.op
def nothing() -> None:
    pass


@dg.job
def started() -> None:
    nothing()


def run_of(instance, pid, host) -> str:
    """A run under way, whose process said its id."""
    run = instance.create_run_for_job(started, tags={HOST: host})
    instance.report_engine_event("at work", run, EngineEventData({"pid": dg.MetadataValue.text(str(pid))}))
    event = dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name)
    instance.report_dagster_event(event, run.run_id)
    return run.run_id


def test_a_run_of_this_host_whose_process_is_gone_is_found_and_no_other(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    settings = tmp_path / "settings.yaml"
    settings.write_text("telemetry: {enabled: false}\n")
    with open_postgres() as server:
        server.write_instance(tmp_path / "home", settings)
        with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
            run_of(instance, os.getpid(), socket.gethostname())
            run_of(instance, gone.pid, "another-machine")
            lost = run_of(instance, gone.pid, socket.gethostname())
            assert [(run.run_id, pid) for run, pid in find_orphans(instance)] == [(lost, gone.pid)]
