"""Dagster's own commands on this code location, each as its own process from the repository's root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from testing.projects import write_project

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent
SHARD = "train-part-00"


@pytest.fixture
def dagster_command(tmp_path):
    """Run an installed command on a tiny project with its own Dagster home; returns (what it said, the project)."""
    config = write_project(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "DISTILL_CONFIG": str(config), "DAGSTER_HOME": str(home)}

    def run(command, *arguments):
        executable = Path(sys.executable).with_name(command)
        done = subprocess.run([executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr, Project(load_config(config))

    return run


def test_dg_lists_every_asset(dagster_command):
    said, _ = dagster_command("dg", "list", "defs", "--json")
    for asset in ("raw_dataset", "teacher_outputs", "validated_synthetic_set", "student_checkpoint", "eval_report"):
        assert f'"{asset}"' in said


def test_the_workspace_file_is_valid(dagster_command):
    said, _ = dagster_command("dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert "Validation successful for code location distill_dagster" in said


def test_dg_launches_a_shard_that_a_local_teacher_answers(dagster_command, copy_of_made, tmp_path):
    copy_of_made()
    for answers in ("teacher_outputs", "responses"):
        shutil.rmtree(tmp_path / "store" / answers)
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        instance.add_dynamic_partitions("shards", [SHARD])
    _, project = dagster_command("dg", "launch", "--assets", "teacher_outputs", "--partition", SHARD)
    assert project.store.shards("teacher_outputs") == [SHARD]
    counts = project.store.get("teacher_outputs", SHARD).counts
    assert counts["rows"] == project.store.get("raw_dataset", SHARD).counts["rows"] == counts["ok"] > 0
