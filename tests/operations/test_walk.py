"""A run looks at the source files once, when it begins: what comes, goes or changes later belongs to the next run."""

import json

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_lineage
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.runner import Runner
from testing.api_project import write_api_project
from testing.projects import run_project

pytestmark = pytest.mark.processes  # each test drives a whole project

FIRST = "raw_dataset[train-part-00]"


def run_and(path, instance, change, until="validated_synthetic_set"):
    """Run a project, and change its files once the first shard is made."""
    config = load_config(path)

    def say(title, state, why):
        if (title, state) == (FIRST, "made"):
            change(path.parent / "data")

    return Runner(Snapshot(Project(config)), build_lineage(config), instance, say).run(until)


def rewrite(path, to) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["id"] = f"{row['id']}-{to.stem}"
        row["messages"][0]["content"] += f" ({to.stem})"
    to.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_file_that_is_added_during_a_run_is_for_the_next_one(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    part = path.parent / "data/train/part-01.jsonl"
    outcome = run_and(path, instance, lambda data: rewrite(part, data / "train/part-09.jsonl"))
    assert (outcome.failed, outcome.held) == ({}, [])
    assert "validated_synthetic_set" in outcome.materialized
    assert outcome.warnings["source files"].startswith("train-part-09 is new; this happened during the run")
    again = run_project(load_config(path), instance, "validated_synthetic_set")
    assert {"raw_dataset[train-part-09]", "teacher_outputs[train-part-09]"} <= set(again.materialized)
    assert "source files" not in again.warnings


def test_a_file_that_is_edited_after_it_was_read_is_for_the_next_run(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    part = path.parent / "data/train/part-00.jsonl"
    outcome = run_and(path, instance, lambda data: rewrite(part, part))
    assert (outcome.failed, outcome.held) == ({}, [])
    assert outcome.warnings["source files"].startswith("train-part-00 changed; ")
    again = run_project(load_config(path), instance, "validated_synthetic_set")
    assert {FIRST, "teacher_outputs[train-part-00]"} <= set(again.materialized)
    assert "raw_dataset[train-part-01]" in again.skipped


def test_a_file_that_is_removed_before_it_was_read_is_named_and_the_next_run_goes_on(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    outcome = run_and(path, instance, lambda data: (data / "train/part-01.jsonl").unlink())
    assert outcome.failed == {
        "raw_dataset[train-part-01]": f"{path.parent}/data/train/part-01.jsonl was removed during the run: run again, "
        "and the run goes on without it"
    }
    again = run_project(load_config(path), instance, "validated_synthetic_set")
    assert (again.failed, again.held) == ({}, [])


def test_a_file_that_is_removed_after_it_was_read_changes_nothing_in_this_run(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    outcome = run_and(path, instance, lambda data: (data / "train/part-00.jsonl").unlink())
    assert (outcome.failed, outcome.held) == ({}, [])
    assert outcome.warnings["source files"].startswith("train-part-00 is gone; ")
