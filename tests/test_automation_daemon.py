"""A real daemon over real files: what changes is made again, also when it changes while a run is on, and nothing else.

The runs that a change arrives in are held at the lock with which the store lets one writer at a time publish: each has
read what it is made from by then, as an hour of training would have.
"""

import dagster as dg
import pytest
from filelock import FileLock

from distill_dagster.cli.execution import dagster_home
from distill_dagster.config_file import load_config
from tests.automation_project import (
    BIG,
    BIG_ROWS,
    SMALL_ROWS,
    Watched,
    edit,
    question,
    write_automated_project,
    write_part,
)
from tests.conftest import run_project
from tests.dev_server import DevServer

pytestmark = pytest.mark.timeout(600)
DOWNSTREAM = ("validated_synthetic_set", "student_checkpoint", "student_benchmark", "eval_report")


@pytest.fixture(scope="module")
def config_path(tmp_path_factory, fault_server):
    fault_server.script()
    return write_automated_project(tmp_path_factory.mktemp("automation"), fault_server)


@pytest.fixture(scope="module")
def watched(config_path, fault_server):
    """The project, made up to the student's training by a person's run, with a daemon that was started just now."""
    config = load_config(config_path)
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("DAGSTER_HOME", raising=False)
        with dg.DagsterInstance.from_config(str(dagster_home(config))) as instance:
            assert not run_project(config, instance, "student_base").failed
            assert fault_server.counts()["total"] == 7 * SMALL_ROWS + BIG_ROWS
            with DevServer(config_path) as server:
                yield Watched(server, instance)


def shard_of(*parts):
    return {f"{asset}[train-{part}]": 1 for part in parts for asset in ("raw_dataset", "teacher_outputs")}


def test_what_was_begun_is_finished_and_a_change_during_training_is_not_lost(watched, config_path, fault_server):
    store, before, kept = watched.project.store, watched.made(), watched.versions()
    fault_server.script()
    lock = store.folder("student_checkpoint") / ".lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        watched.wait(lambda: watched.running("student_checkpoint"), "the student's training")
        asked = edit(config_path.parent / "data/train/part-03.jsonl", 1, 4)
        watched.wait(lambda: watched.versions()[DOWNSTREAM[0]] != kept[DOWNSTREAM[0]], "the set with the changed rows")
    watched.settle()
    once = dict.fromkeys(("teacher_benchmark", "baseline_benchmark", *DOWNSTREAM), 1)
    assert watched.made() - before == {**once, **shard_of("part-03"), "student_checkpoint": 2}
    held_out = {question(n)["messages"][0]["content"]: 1 for n in range(4000, 4000 + SMALL_ROWS)}
    assert fault_server.counts()["by_prompt"] == {**dict.fromkeys(asked, 1), **held_out}
    assert watched.taught() == watched.in_files()
    now = watched.versions()
    assert {name for name in kept if kept[name] != now[name]} == {*shard_of("part-03"), "validated_synthetic_set"}


def test_a_touched_file_triggers_nothing(watched, config_path):
    runs = watched.instance.get_run_ids()
    for path in (config_path.parent / "data").rglob("*.jsonl"):
        path.touch()
    watched.settle()
    assert watched.instance.get_run_ids() == runs


def test_files_added_edited_renamed_and_removed_cost_one_training_and_their_changed_rows(
    watched, config_path, fault_server
):
    train, store = config_path.parent / "data" / "train", watched.project.store
    fault_server.script()
    before, kept = watched.made(), watched.versions()
    lock = store.folder("teacher_outputs", "train-part-08") / ".lock"
    lock.parent.mkdir(parents=True)
    added = [question(n) for n in range(5000, 5003)]
    with FileLock(lock):
        write_part(train / "part-08.jsonl", added)
        watched.wait(lambda: watched.running("teacher_outputs", "train-part-08"), "the added shard's generation")
        asked = edit(train / f"{BIG}.jsonl", 700)
        (train / "part-05.jsonl").rename(train / "part-50.jsonl")
        (train / "part-06.jsonl").unlink()
        watched.wait(
            lambda: watched.made()["raw_dataset[train-part-50]"] and watched.made()[f"raw_dataset[train-{BIG}]"] == 2,
            "the other shards' rows",
        )
    watched.settle()
    assert watched.made() - before == {**shard_of("part-08", "part-50", BIG), **dict.fromkeys(DOWNSTREAM, 1)}
    prompts = [*asked, *(row["messages"][0]["content"] for row in added)]
    assert fault_server.counts()["by_prompt"] == dict.fromkeys(prompts, 1)
    assert store.get("teacher_outputs", f"train-{BIG}").facts["asked"] == 1
    assert store.get("teacher_outputs", "train-part-50").facts["asked"] == 0
    assert watched.taught() == watched.in_files()
    now = watched.versions()
    moved = {*shard_of(BIG), *DOWNSTREAM}
    assert {name for name in kept if name in now and kept[name] != now[name]} == moved
    assert set(kept) - set(now) == set(shard_of("part-05", "part-06"))
    assert store.shards("raw_dataset") == sorted(watched.project.sources()), "nothing is left of the removed shards"


def test_the_daemon_had_no_trouble(watched):
    assert "Traceback" not in watched.server.log()
    assert "ERROR" not in watched.server.log()
