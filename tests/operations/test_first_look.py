"""A look at many new files, a part at a time: nothing is lost, and nothing is reported twice."""

import os
import subprocess
import sys
import time
from collections import Counter

import dagster as dg
import pytest
from filelock import FileLock

from benchmarks.listing import write_sources
from distill_dagster.assets.naming import Names
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations import observing
from distill_dagster.operations.observing import LOCK, observe, observe_within
from testing.dev_server import environment
from testing.postgres import needs_postgres, open_postgres

SHARDS = 6
EVENT = "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage.store_event"
ADD = "dagster._core.storage.event_log.sql_event_log:SqlEventLogStorage.add_dynamic_partitions"
KILLED = """
import sys
import dagster as dg
from pathlib import Path
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.observing import observe
from testing.killed_at import arm
home, config, target, number = sys.argv[1:]
with dg.DagsterInstance.from_config(home) as instance:
    arm(target, int(number))
    observe(instance, Snapshot(Project(load_config(config))))
"""


@pytest.fixture
def project(tmp_path):
    return write_sources(tmp_path, SHARDS)


def reported(instance) -> Counter[str]:
    """Shard -> how often its version was reported."""
    records = instance.fetch_materializations(Names("").key("raw_shards"), limit=1000).records
    return Counter(record.partition_key for record in records)


def rewrite(path, text):
    """Give a file other rows, an hour ago: a file that was written just now is read at each look."""
    path.write_text(text)
    os.utime(path, (time.time() - 1800, time.time() - 1800))


def test_looks_without_time_take_one_file_each_and_leave_no_file_out(project, instance, tmp_path):
    seen, looks = list[str](), 0
    while (look := observe_within(instance, Snapshot(project), seconds=0)).changed:
        looks += 1
        assert len(instance.get_dynamic_partitions("shards")) == SHARDS, "at once, so that no set is made of some"
        assert looks + look.left == SHARDS + 1 - ("test_files" not in [*seen, *look.changed])
        seen += look.changed
    assert Counter(seen) == Counter([*Snapshot(project).shards, "shard_list", "test_files"])
    assert reported(instance) == dict.fromkeys(Snapshot(project).shards, 1)
    assert observe(instance, Snapshot(project)) == []


def test_files_that_change_come_and_go_during_a_first_look_are_taken_up(project, instance, tmp_path):
    for _ in range(3):
        observe_within(instance, Snapshot(project), seconds=0)
    done = sorted(reported(instance))
    rewrite(tmp_path / f"train/{done[0].removeprefix('train-')}.jsonl", '{"prompt": "again"}\n')
    left = sorted(Snapshot(project).sources.keys() - set(done))
    (tmp_path / f"train/{left[0].removeprefix('train-')}.jsonl").unlink()
    rewrite(tmp_path / "train/part-99.jsonl", '{"prompt": "new"}\n')
    while observe_within(instance, Snapshot(project), seconds=0).changed:
        pass
    assert set(instance.get_dynamic_partitions("shards")) == set(Snapshot(project).shards)
    assert reported(instance) == {**dict.fromkeys(Snapshot(project).shards, 1), done[0]: 2}
    assert observe(instance, Snapshot(project)) == []


def test_a_run_takes_up_what_the_sensor_has_left(project, instance):
    first = observe_within(instance, Snapshot(project), seconds=0)
    assert set(first.changed).isdisjoint(observe(instance, Snapshot(project)))
    assert reported(instance) == dict.fromkeys(Snapshot(project).shards, 1)
    assert observe_within(instance, Snapshot(project), seconds=0).changed == []


def test_a_sensor_that_finds_another_look_under_way_reports_nothing(project, instance):
    project.store.root.mkdir()
    with FileLock(project.store.root / LOCK):
        assert observe_within(instance, Snapshot(project), seconds=60) is None
    assert not instance.get_dynamic_partitions("shards")
    assert observe_within(instance, Snapshot(project), seconds=60).left == 0


def test_the_sensor_names_some_changes_and_counts_the_others(tmp_path, instance, monkeypatch):
    project = write_sources(tmp_path, 30)
    definitions = build_definitions(project.config)
    resources = {"project": definitions.resources["project"]}
    with dg.build_sensor_context(instance, resources=resources) as context:
        said = definitions.resolve_sensor_def("observe_sources").evaluate_tick(context).skip_message
    assert said.startswith("changed: train-part-00000, train-part-00001, ")
    assert said.endswith("train-part-00019 and 12 others")


def test_versions_are_written_in_batches_until_the_time_is_over(project, instance, monkeypatch):
    monkeypatch.setattr(observing, "A_WRITE", 4)
    Snapshot(project).read_sources()  # all of them are known, so a look without time only reports
    first = observe_within(instance, Snapshot(project), seconds=0)
    assert (first.changed, first.left) == ([*Snapshot(project).shards[:4], "shard_list", "test_files"], 2)
    assert observe_within(instance, Snapshot(project), seconds=0).changed == Snapshot(project).shards[4:]


@pytest.mark.processes
@pytest.mark.parametrize(
    ("target", "number"), [(ADD, 1), (EVENT, 1), (EVENT, 4), (EVENT, SHARDS + 1), (EVENT, SHARDS + 2)]
)
def test_a_look_that_is_killed_loses_nothing_and_repeats_nothing(project, tmp_path, target, number):
    config, home = tmp_path / "distill.yaml", tmp_path / "home"
    config.write_text(project.config.model_dump_json())
    home.mkdir()
    script = [sys.executable, "-W", "ignore", "-c", KILLED, str(home), str(config), target, str(number)]
    done = subprocess.run(script, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    with dg.DagsterInstance.from_config(str(home)) as instance:
        before = reported(instance)
        assert len(before) == (0 if target == ADD else min(number - 1, SHARDS))
        changed = observe(instance, Snapshot(project))
        assert before.keys().isdisjoint(changed)
        assert reported(instance) == dict.fromkeys(Snapshot(project).shards, 1)
        assert observe(instance, Snapshot(project)) == []


@pytest.mark.processes
@needs_postgres
def test_the_same_holds_on_postgresql(project, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("telemetry: {enabled: false}\n")
    with open_postgres() as server:
        server.write_instance(tmp_path / "home", settings)
        with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
            first = observe_within(instance, Snapshot(project), seconds=0)
            assert first.left == SHARDS - ("test_files" not in first.changed)
            assert set(first.changed).isdisjoint(observe(instance, Snapshot(project)))
            assert reported(instance) == dict.fromkeys(Snapshot(project).shards, 1)
            latest = instance.get_latest_materialization_event(Names("").key("raw_shards"))
            assert latest.asset_materialization.tags["dagster/data_version"]
            assert observe(instance, Snapshot(project)) == []
