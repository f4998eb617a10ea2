"""A source file that goes and comes back: what was deleted of it is made again, without a call; else nothing is."""

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.observing import observe
from distill_dagster.operations.runner import QUIET
from testing.projects import run_project, write_project

pytestmark = pytest.mark.processes  # each test drives a whole project

LAST = "validated_synthetic_set"
FOLLOWED = ("raw_dataset", "eval_dataset", "teacher_model", "teacher_outputs", LAST)
SHARD = "train-part-02"


class Followed:
    """A project that a teacher on loopback answers, and its automation, tick by tick, up to the validated set."""

    def __init__(self, path, instance) -> None:
        self.config = load_config(path)
        self.instance, self.project, self.cursor = instance, Project(self.config), None
        self.file = path.parent / "data" / "train" / "part-02.jsonl"
        self.definitions = build_definitions(self.config)

    def tick(self) -> list[tuple[str, str | None]]:
        """What is asked for of what is followed: (asset, shard)."""
        tick = dg.evaluate_automation_conditions(
            self.definitions, self.instance, dg.AssetSelection.assets(*FOLLOWED), cursor=self.cursor
        )
        self.cursor = tick.cursor
        asked = [result.key for result in tick.results if tick.get_num_requested(result.key)]
        return [(key.to_user_string(), shard) for key in asked for shard in sorted(tick.get_requested_partitions(key))]

    def follow(self) -> set[tuple[str, str | None]]:
        """Look at the files and run what the ticks ask for, until two ask for nothing; returns what they asked for."""
        everything, quiet = set(), 0
        while quiet < 2:
            observe(self.instance, Snapshot(self.project))
            asked = self.tick()
            quiet = 0 if asked else quiet + 1
            for asset, shard in asked:
                job = self.definitions.resolve_implicit_global_asset_job_def()
                keys = [dg.AssetKey(asset)]
                assert job.execute_in_process(
                    instance=self.instance, asset_selection=keys, partition_key=shard, run_config=QUIET
                ).success
            everything |= set(asked)
        return everything

    def taught(self) -> set[str]:
        """Shards that the published set is made from."""
        return set(self.project.store.get(LAST).inputs["teacher_outputs"])


@pytest.fixture(scope="module")
def followed(tmp_path_factory, fault_server):
    """A project that was made, and asks for nothing. Each test leaves its files as they were, and follows them."""
    folder = tmp_path_factory.mktemp("returning")
    fault_server.script()
    endpoint = {"url": fault_server.url, "model": "made", "concurrency": 8, "attempts": 1}
    teacher = {"endpoint": endpoint, "generation": {"max_new_tokens": 16}, "smoke": {"rows": 0}}
    path = write_project(folder, **{"teacher": teacher, "student.model.tokenizer": "train"})
    with dg.DagsterInstance.ephemeral() as instance:
        followed = Followed(path, instance)
        assert not run_project(followed.config, instance, LAST).failed
        assert followed.follow() == set()
        yield followed


def whole(shard: str) -> set[tuple[str, str | None]]:
    return {("raw_dataset", shard), ("teacher_outputs", shard), (LAST, None)}


@pytest.mark.parametrize(
    "watched",
    [pytest.param(True, id="ticks between"), pytest.param(False, id="no tick between")],
)
def test_a_file_that_comes_back_as_it_was_is_made_again_and_costs_no_call(followed, server, watched):
    calls, rows = server.counts()["total"], followed.file.read_bytes()
    followed.file.unlink()
    if watched:
        assert (LAST, None) in followed.follow()
    else:
        assert not run_project(followed.config, followed.instance, LAST).failed  # by a person, while nobody looks
        observe(followed.instance, Snapshot(followed.project))
    assert not followed.project.store.find("teacher_outputs", SHARD), "swept"
    followed.file.write_bytes(rows)
    assert whole(SHARD) <= followed.follow()
    assert SHARD in followed.taught()
    assert server.counts()["total"] == calls
    assert followed.follow() == set()


def test_a_file_that_takes_a_name_that_was_there_before_is_made_under_it(followed, server):
    calls, other = server.counts()["total"], followed.file.with_name("part-07.jsonl")
    followed.file.rename(other)
    assert whole("train-part-07") <= followed.follow()
    other.rename(followed.file)
    assert whole(SHARD) <= followed.follow()
    assert followed.taught() == Snapshot(followed.project).sources.keys()
    assert server.counts()["total"] == calls


def test_a_file_that_is_back_before_anybody_looked_is_nothing(followed):
    rows = followed.file.read_bytes()
    followed.file.unlink()
    followed.file.write_bytes(rows)
    assert followed.follow() == set()


def test_a_file_that_is_back_before_its_artefacts_were_deleted_is_not_made_again(followed):
    rows = followed.file.read_bytes()
    followed.file.unlink()
    observe(followed.instance, Snapshot(followed.project))
    assert followed.project.store.find("teacher_outputs", SHARD), "the published set is still made from it"
    followed.file.write_bytes(rows)
    assert SHARD not in {shard for _, shard in followed.follow()}
    assert SHARD in followed.taught()


def test_a_shard_that_comes_back_passes_the_check_of_its_columns(followed):
    rows = followed.file.read_bytes()
    followed.file.unlink()
    followed.follow()
    followed.file.write_bytes(rows)
    followed.follow()
    key = dg.AssetCheckKey(dg.AssetKey("raw_dataset"), "column_schema_change")
    for found in followed.instance.event_log_storage.get_asset_check_execution_history(key, limit=100):
        assert found.status == AssetCheckExecutionRecordStatus.SUCCEEDED, found.evaluation
