"""A real daemon over real files: what changes is made again, also when it changes while a run is on, and nothing else.

The runs that a change arrives in are held at the lock with which the store lets one writer at a time publish: each has
read what it is made from by then, as an hour of training would have.
"""

import contextlib
from collections import Counter

import pytest
from filelock import FileLock

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.snapshot import Snapshot
from testing.automation_project import (
    BIG,
    BIG_ROWS,
    SMALL_ROWS,
    TEST_ROWS,
    Watched,
    edit,
    question,
    write_automated_project,
    write_part,
)
from testing.dev_server import DevServer
from testing.projects import own_instance, run_project
from testing.waiting import PATIENCE

pytestmark = [pytest.mark.daemon, pytest.mark.xdist_group("daemon-1"), pytest.mark.timeout(2 * PATIENCE)]
ADDED = "train-part-08"
DOWNSTREAM = ("validated_synthetic_set", "student_checkpoint", "student_benchmark", "speed_benchmark", "eval_report")


@pytest.fixture(scope="module")
def config_path(tmp_path_factory, fault_server):
    fault_server.script()
    return write_automated_project(tmp_path_factory.mktemp("automation"), fault_server)


@pytest.fixture(scope="module")
def watched(config_path, fault_server):
    """The project, made up to the student's training by a person's run, with a daemon that was started just now."""
    config = load_config(config_path)
    with own_instance(config) as instance:
        assert not run_project(config, instance, "student_base").failed
        assert fault_server.counts()["total"] == 7 * SMALL_ROWS + BIG_ROWS
        with DevServer(config_path) as server:
            yield Watched(server, instance)


@contextlib.contextmanager
def held(watched, asset, shard=None):
    """Nobody publishes this artefact within the block."""
    folder = watched.project.store.folder(asset, shard)
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        yield


def shard_of(*parts):
    return {f"{asset}[train-{part}]": 1 for part in parts for asset in ("raw_dataset", "teacher_outputs")}


@pytest.fixture(scope="module")
def changed(watched, config_path, fault_server):
    """The prompts that are new after all changes; what had been made before, and its versions.

    While the student is trained: two rows are edited and a file is added. While the added one is with the teacher: a
    row of the big file is edited, a file is renamed, another one removed.
    """
    before, kept, train = watched.made(), watched.versions(), config_path.parent / "data" / "train"
    added = [question(n) for n in range(5000, 5003)]
    fault_server.script()
    with held(watched, "student_checkpoint"):
        watched.wait(lambda: watched.running("student_checkpoint"), "the student's training")
        asked = edit(train / "part-03.jsonl", 1, 4)
        with held(watched, "teacher_outputs", ADDED):
            write_part(train / "part-08.jsonl", added)
            watched.wait(lambda: watched.running("teacher_outputs", ADDED), "the added shard's generation")
            asked += edit(train / f"{BIG}.jsonl", 700)
            # at its first look the daemon asks once more for what a person's run made; of a file that is gone by then
            # that run would fail, and say so
            watched.wait(lambda: not watched.is_asked_for("train-part-05", "train-part-06"), "an end of earlier runs")
            watched.removed = {"train-part-05", "train-part-06"}
            (train / "part-05.jsonl").rename(train / "part-50.jsonl")
            (train / "part-06.jsonl").unlink()
            rows = Counter(["raw_dataset[train-part-50]", f"raw_dataset[train-{BIG}]"])
            watched.wait(lambda: rows <= watched.made() - before, "the rows of the other shards")
        watched.wait(lambda: watched.versions()[DOWNSTREAM[0]] != kept[DOWNSTREAM[0]], "the set of the present rows")
    watched.settle()
    return asked + [row["messages"][0]["content"] for row in added], before, kept


def test_what_was_begun_is_finished_and_what_changed_is_made_once(watched, changed):
    _, before, kept = changed
    shards = shard_of("part-03", "part-08", "part-50", BIG)
    once = dict.fromkeys(("teacher_benchmark", "baseline_benchmark", *DOWNSTREAM), 1)
    assert watched.made() - before == {**shards, **once, "student_checkpoint": 2}, (
        "trained on the rows before and after"
    )
    now = watched.versions()
    assert {name for name in kept if name in now and kept[name] != now[name]} == {
        *shard_of("part-03", BIG),
        "validated_synthetic_set",
    }


def test_the_student_was_trained_on_what_the_files_hold_now(watched, changed):
    assert watched.taught() == watched.in_files()
    assert len(watched.taught()) == 6 * SMALL_ROWS + BIG_ROWS + 3


def test_each_changed_row_was_one_call_and_a_renamed_file_none(watched, changed, fault_server):
    asked, _, _ = changed
    held_out = [question(n)["messages"][0]["content"] for n in TEST_ROWS]
    assert fault_server.counts()["by_prompt"] == dict.fromkeys([*asked, *held_out], 1)
    outputs = {name: watched.project.store.get("teacher_outputs", f"train-{name}").facts for name in (BIG, "part-50")}
    assert {name: (facts["asked"], facts["reused"]) for name, facts in outputs.items()} == {
        BIG: (1, BIG_ROWS - 1),
        "part-50": (0, SMALL_ROWS),
    }


def test_nothing_is_left_of_the_shards_that_are_gone(watched, changed):
    _, _, kept = changed
    assert set(kept) - set(watched.versions()) == set(shard_of("part-05", "part-06"))
    for asset in ("raw_dataset", "teacher_outputs"):
        assert watched.project.store.shards(asset) == sorted(Snapshot(watched.project).sources)
    assert set(watched.instance.get_dynamic_partitions("shards")) == Snapshot(watched.project).sources.keys()


def test_a_touched_file_triggers_nothing(watched, changed, config_path):
    runs = watched.instance.get_run_ids()
    for path in (config_path.parent / "data").rglob("*.jsonl"):
        path.touch()
    watched.settle()
    assert watched.instance.get_run_ids() == runs


def test_the_daemon_had_no_trouble(watched, changed):
    log = watched.server.log()
    assert "Traceback" not in log
    of_removed = watched.failed_of_removed()
    assert [line for line in log.splitlines() if "ERROR" in line and not any(run in line for run in of_removed)] == []
