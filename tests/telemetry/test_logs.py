"""What a run of the code location logs is JSON lines, if DISTILL_LOG_FORMAT asks for them."""

import json
import subprocess
import sys

import pytest

from testing.dev_server import environment
from testing.projects import write_project

pytestmark = pytest.mark.processes
RUN = """
import dagster as dg
from distill_dagster.definitions import defs
job = defs().resolve_implicit_global_asset_job_def()
with dg.DagsterInstance.ephemeral() as instance:
    instance.add_dynamic_partitions("shards", ["validation"])
    done = job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey("raw_dataset")], partition_key="validation"
    )
    print(done.run_id)
"""


def test_the_log_of_a_run_is_json_lines(tmp_path):
    path = write_project(tmp_path)
    own = {**environment(), "DISTILL_CONFIG": str(path), "DISTILL_LOG_FORMAT": "json"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN], env=own, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    (said,) = [line for line in lines if line["message"].startswith("made because")]
    assert said["level"] == "info"
    assert said["run_id"] == done.stdout.strip()
    assert {said["stage"], said["step"]} == {"raw_dataset"}
    assert said["shard"] == "validation"
