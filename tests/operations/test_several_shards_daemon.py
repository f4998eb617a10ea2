"""A real daemon with `automation.shards_per_run`: new files are made in few runs, each shard once, and asked once.

A version that is reported while a tick decides requests its shard once more, at most, and that run finds nothing to do:
see assets/condition.py.
"""

from collections import Counter

import dagster as dg
import pytest

from distill_dagster.assets.run_tags import BECAUSE
from distill_dagster.assets.several_shards import OUTER_RUN
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.because import UNCHANGED
from distill_dagster.lineage.project import Project
from testing.api_project import SHARD_ROWS, write_api_project, write_rows
from testing.dev_server import DevServer
from testing.projects import own_instance, run_project
from testing.waiting import PATIENCE, wait_for

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.processes,
    pytest.mark.xdist_group("daemon-3"),
    pytest.mark.timeout(2 * PATIENCE),
]
NEW = [f"train-part-{n:02}" for n in range(1, 6)]
SETS = "validated_synthetic_set"


def test_new_files_are_made_in_groups(tmp_path, server):
    automation = {"enabled": True, "observe_seconds": 5, "shards_per_run": 5}
    path = write_api_project(tmp_path, server, shards=1, automation=automation)
    config = load_config(path)
    project = Project(config)
    with own_instance(config) as instance:
        assert not run_project(config, instance, SETS).failed
        server.script()
        with DevServer(path) as running:
            for number, shard in enumerate(NEW, start=1):
                rows = range(SHARD_ROWS * number, SHARD_ROWS * (number + 1))
                write_rows(tmp_path / f"data/train/{shard.removeprefix('train-')}.jsonl", rows)
            wait_for(lambda: set(NEW) <= in_set(project) or running.process.poll(), "a set of all shards")
            wait_for(lambda: all(run.is_finished for run in instance.get_runs()), "the end of all runs")
            runs = instance.get_runs()
        asked = server.counts()["by_prompt"]
    assert len(asked) == len(NEW) * SHARD_ROWS
    assert set(asked.values()) == {1}
    of_shards = [run for run in runs if run.tags.get("dagster/partition") in NEW]  # a single one is queued alone
    made, made_again = (
        Counter((asset_of(run), run.tags["dagster/partition"]) for run in of_shards if is_again(run) == again)
        for again in (False, True)
    )
    assert made == {(asset, shard): 1 for asset in ("raw_dataset", "teacher_outputs") for shard in NEW}
    assert set(made_again.values()) <= {1}
    inner = [run for run in of_shards if OUTER_RUN in run.tags]
    outer = {run.tags[OUTER_RUN] for run in inner}
    assert 0 < len(outer) < len(inner)
    ended = {run.status for run in runs if run.run_id in outer or run in of_shards}
    assert ended == {dg.DagsterRunStatus.SUCCESS}


def in_set(project) -> set[str]:
    return set(project.store.get(SETS).inputs["teacher_outputs"])


def is_again(run) -> bool:
    return run.tags.get(BECAUSE) == UNCHANGED


def asset_of(run) -> str:
    (key,) = run.asset_selection
    return key.to_user_string()
