"""A run over several shards: each has its version, checks and run, as it has alone; one that fails stops no other."""

import dagster as dg
import pytest

from distill_dagster.assets.failures import OWN_RUNS
from distill_dagster.assets.naming import Names
from distill_dagster.assets.run_tags import BECAUSE, INVOCATION
from distill_dagster.assets.several_shards import OUTER_RUN
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions, build_lineage
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import sharded_names
from distill_dagster.operations.observing import observe
from distill_dagster.operations.run_failures import read_run
from distill_dagster.operations.runner import QUIET
from testing.api_project import CONCURRENCY, write_api_project
from testing.projects import own_instance, run_project

pytestmark = pytest.mark.processes  # each test drives a whole project

SHARDS = [f"train-part-{n:02}" for n in range(3)]
RANGE = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def config(tmp_path, server):
    changes = {"automation.shards_per_run": 3, "checks.min_success_share": 0.5}
    return load_config(write_api_project(tmp_path, server, **changes))


@pytest.fixture
def instance(config):
    with own_instance(config) as value:
        observe(value, Snapshot(Project(config)))
        yield value


def launch(config, instance, *assets, **tags):
    """Run assets over the training shards, as a backfill launches it."""
    job = build_lineage(config).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        asset_selection=[Names.of(config).key(asset) for asset in assets],
        run_config=QUIET,
        raise_on_error=False,
        tags={RANGE[0]: SHARDS[0], RANGE[1]: SHARDS[-1], **tags},
    )


def last(instance, asset) -> dict[str, dg.EventLogRecord]:
    """Shard -> its last materialization."""
    records = instance.fetch_materializations(dg.AssetKey(asset), limit=100, ascending=True).records
    return {record.partition_key: record for record in records}


def test_each_shard_has_its_own_version_checks_and_run(config, instance):
    outer = launch(config, instance, "raw_dataset")
    assert outer.success
    made, project = last(instance, "raw_dataset"), Project(config)
    assert sorted(made) == SHARDS
    for shard, record in made.items():
        tags = record.asset_materialization.tags
        assert tags["dagster/data_version"] == project.store.get("raw_dataset", shard).data_version
        run = instance.get_run_by_id(record.run_id)
        assert run.tags[OUTER_RUN] == outer.run_id
        assert run.tags["dagster/partition"] == shard
        assert run.tags[INVOCATION]
        assert run.tags[BECAUSE].startswith("it was never made")
    assert len({record.asset_materialization.tags["dagster/data_version"] for record in made.values()}) == len(SHARDS)
    assert len({record.run_id for record in made.values()}) == len(SHARDS)
    key = dg.AssetCheckKey(dg.AssetKey("raw_dataset"), "enough_valid_rows")
    checked = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
    evaluated = [found.evaluation for found in checked if isinstance(found.evaluation, dg.AssetCheckEvaluation)]
    assert sorted(found.partition for found in evaluated) == SHARDS
    assert all(found.passed for found in evaluated)


def test_a_shard_that_fails_stops_no_other_and_is_named(config, instance, server):
    assert not run_project(config, instance, "teacher_model").failed
    rows = [f"<{n}>" for n in range(12, 24)]  # those of the second shard
    server.script(rules=[{"match": row, "fault": "status", "status": 500} for row in rows])
    outer = launch(config, instance, "teacher_outputs")
    assert not outer.success
    assert sorted(shard for shard in SHARDS if Project(config).store.find("teacher_outputs", shard))[::2] == SHARDS[::2]
    (failure,) = [event.step_failure_data for event in outer.all_events if event.is_step_failure]
    said = failure.user_failure_data
    assert said.description.startswith("1 of 3 shards failed: train-part-01: ")
    assert said.metadata[OWN_RUNS].value == 1
    names, found = Names.of(config), []
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])):
        found += read_run(instance, record.dagster_run, names).failures.values()
    assert {(failure.asset, failure.shard) for failure in found} == {("teacher_outputs", "train-part-01")}
    server.script()
    assert launch(config, instance, "teacher_outputs").success
    assert server.counts()["total"] == len(rows), "the others are not asked again"


def test_an_endpoint_that_refuses_the_key_is_not_asked_for_the_other_shards(config, instance, server):
    assert not run_project(config, instance, "teacher_model").failed
    server.script(rules=[{"fault": "status", "status": 401}])
    outer = launch(config, instance, "teacher_outputs")
    assert server.counts()["total"] <= CONCURRENCY, "those in flight at the first refusal"
    (failure,) = [event.step_failure_data for event in outer.all_events if event.is_step_failure]
    assert failure.user_failure_data.description.count("not asked, because the endpoint failed before") == 2


def test_the_runs_of_a_backfill_s_shards_count_as_its_own(config, instance):
    launch(config, instance, "raw_dataset", **{"dagster/backfill": "b1"})
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": "b1"}))
    assert sorted(run.tags["dagster/partition"] for run in runs if "dagster/partition" in run.tags) == SHARDS


def test_a_run_over_shards_of_two_assets_is_refused(config, instance):
    outer = launch(config, instance, "raw_dataset", "teacher_outputs")
    (failure,) = [event.step_failure_data for event in outer.all_events if event.is_step_failure]
    assert "a run over several shards makes one asset, and this one was to make 2" in str(failure.user_failure_data)
    assert not Project(config).store.shards("raw_dataset")


def test_pools_that_would_wait_for_ever_are_refused(config, server):
    with dg.DagsterInstance.ephemeral() as instance:
        observe(instance, Snapshot(Project(config)))
        assert not run_project(config, instance, "teacher_model").failed
        server.script()
        outer = launch(config, instance, "teacher_outputs")
        (failure,) = [event.step_failure_data for event in outer.all_events if event.is_step_failure]
        assert "`concurrency.pools.granularity` in dagster.yaml must be `run`" in failure.user_failure_data.description
    assert server.counts()["total"] == 0


def test_no_two_stages_are_put_into_one_run(config):
    lineage = build_lineage(config)
    graph = lineage.resolve_asset_graph()
    own = [graph.get(dg.AssetKey(name)) for name in sharded_names() if graph.has(dg.AssetKey(name))]
    limits = [node.backfill_policy.max_partitions_per_run for node in own]
    assert len(set(limits)) == len(limits) >= 2
    assert min(limits) == 3
    assert build_definitions(config).resolve_sensor_def("redistill").emit_backfills


def test_by_default_a_shard_has_a_queued_run_of_its_own(tmp_path, server):
    config = load_config(write_api_project(tmp_path, server))
    graph = build_lineage(config).resolve_asset_graph()
    assert graph.get(dg.AssetKey("raw_dataset")).backfill_policy is None
    assert not build_definitions(config).resolve_sensor_def("redistill").emit_backfills
