"""The processes of deploy/ are killed in turn during a backfill: all partitions are made, and none is asked twice."""

from functools import partial

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from testing.api_project import SHARD_ROWS, write_api_project
from testing.postgres import needs_postgres
from testing.production import STATUS, open_production
from testing.projects import run_project
from testing.waiting import PATIENCE, wait_for

pytestmark = [
    pytest.mark.processes,
    pytest.mark.daemon,
    needs_postgres,
    pytest.mark.xdist_group("daemon-3"),
    pytest.mark.timeout(2 * PATIENCE),
]
HALF = 6  # shards of each backfill
ASSETS = ["raw_dataset", "teacher_outputs"]


@pytest.fixture(scope="module")
def path(tmp_path_factory, fault_server):
    fault_server.script(latency=0.5)
    return write_api_project(tmp_path_factory.mktemp("production"), fault_server, shards=2 * HALF)


@pytest.fixture(scope="module")
def production(path, tmp_path_factory):
    with open_production(tmp_path_factory.mktemp("processes"), path) as running:
        with running.instance() as instance:
            wait_for(lambda: len(instance.get_dynamic_partitions("shards")) == 2 * HALF + 1, "the partitions")
            assert not run_project(load_config(path), instance, "teacher_model").failed
        yield running


def shards_of(half) -> list[str]:
    return [f"train-part-{n:02}" for n in range(HALF * half, HALF * (half + 1))]


def made_of(project, half) -> int:
    return sum(project.store.find("teacher_outputs", shard) is not None for shard in shards_of(half))


def has_made(project, number) -> bool:
    return made_of(project, 1) >= number


def is_over(production, backfill) -> bool:
    found = production.ask(STATUS, id=backfill)["partitionBackfillOrError"]
    assert found["status"] in ("REQUESTED", "COMPLETING", "COMPLETED_SUCCESS"), (
        found,
        production.log.read_text()[-4000:],
    )
    return found["status"] == "COMPLETED_SUCCESS"


def test_every_partition_is_made_and_nothing_is_asked_twice(production, path, fault_server):
    fault_server.script(latency=0.5)
    project = Project(load_config(path))
    backfill = production.backfill(ASSETS, shards_of(0))
    wait_for(lambda: is_over(production, backfill), "the undisturbed backfill")
    assert fault_server.counts()["total"] == HALF * SHARD_ROWS

    fault_server.script(latency=0.5)
    backfill = production.backfill(ASSETS, shards_of(1))
    for number, name in enumerate(("code", "daemon", "webserver", "postgres"), start=1):
        wait_for(partial(has_made, project, number), f"shard {number}")
        if name == "postgres":
            production.postgres.crash()
            production.postgres.start()
        else:
            production.kill(name)
            production.start(name)
    wait_for(lambda: is_over(production, backfill), "the disturbed backfill")
    for asset in ASSETS:
        assert all(project.store.find(asset, shard) for shard in shards_of(1)), asset
    asked = fault_server.counts()["by_prompt"]
    assert len(asked) == HALF * SHARD_ROWS
    assert set(asked.values()) == {1}
