"""Of Dagster's history of a project, the runs go that nothing shows any more, and nothing of another project's."""

import signal
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from distill_dagster.assets.naming import Names
from distill_dagster.clearing.specs import Part, Rules
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions, build_lineage
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.failed_steps import failed_steps
from distill_dagster.operations.failing_checks import failing_checks
from distill_dagster.operations.history import (
    DECIDED,
    IN_BACKFILL,
    LAST,
    LAST_CHECK,
    LAST_TRY,
    UNDER_WAY,
    HistoryToClear,
)
from distill_dagster.operations.instance import INSTANCE_CONFIG
from distill_dagster.planning.steps import list_steps
from testing.api_project import write_api_project, write_rows
from testing.clearing import LATER, NOWHERE
from testing.history import clear_history_and_die
from testing.postgres import needs_postgres, open_postgres
from testing.projects import own_instance, run_project
from testing.store_writers import start

pytestmark = pytest.mark.slow
FIRST = "raw_dataset"
PREFIXES = ("one", "two")


@pytest.fixture
def projects(tmp_path) -> list[Project]:
    """Two projects of one instance, each with two shards."""
    paths = [write_api_project(tmp_path / name, NOWHERE, shards=1, key_prefix=name) for name in PREFIXES]
    return [Project(load_config(path)) for path in paths]


def change(project: Project, first: int) -> None:
    write_rows(project.store.root.parent / "data/train/part-00.jsonl", range(first, first + 12))


def make_first(project: Project, instance: dg.DagsterInstance) -> list[str]:
    """Make the shards' rows; returns what was made."""
    outcome = run_project(project.config, instance, FIRST)
    assert not outcome.failed
    return outcome.materialized


def look(
    project: Project, instance: dg.DagsterInstance, rules: Rules = LATER, decisions: set[str] | None = None
) -> Part:
    graph = build_lineage(project.config).resolve_asset_graph()
    return HistoryToClear(instance, Names.of(project.config), graph, rules).look(decisions or set())


def counts(part: Part) -> dict[str | None, int]:
    """Why runs stay, and how many; those that go are under None."""
    return {lot.why: lot.count for lot in part.lots if lot.kind == "run" and lot.count}


def shown(project: Project, instance: dg.DagsterInstance) -> dict[str, object]:
    """What the UI and the automation read of a project."""
    names, view = Names.of(project.config), Snapshot(project)
    graph = build_lineage(project.config).resolve_asset_graph()
    latest = instance.get_latest_materialization_event(names.key(FIRST))
    return {
        "latest": latest and (latest.run_id, latest.timestamp),
        "partitions": instance.get_materialized_partitions(names.key(FIRST)),
        "versions": instance.event_log_storage.get_latest_tags_by_partition(
            names.key(FIRST), dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
        ),
        "failing": failing_checks(instance, graph, names, view.sources.keys()),
        "failed": failed_steps(instance, view, list_steps(view)),
    }


def test_the_runs_of_replaced_versions_go_and_nothing_changes_in_what_is_shown(projects, instance):
    one, two = projects
    for project in projects:
        make_first(project, instance)
    change(one, 100)
    make_first(one, instance)
    change(one, 200)
    assert make_first(one, instance) == [f"{FIRST}[train-part-00]"]
    definitions = build_definitions(one.config)
    seen = dg.evaluate_automation_conditions(definitions, instance)
    before = [shown(project, instance) for project in projects]
    runs = {run.run_id for run in instance.get_runs()}
    part = look(one, instance)
    assert counts(part) == {None: 2, LAST: 2}
    assert counts(look(one, instance, Rules(now=datetime.now(UTC)))) == {LAST: 2, "it ended less than 30 days ago": 2}
    (gone,) = (lot for lot in part.lots if lot.kind == "run" and lot.why is None)
    assert [lot.count for lot in part.delete()] == [2, 0]
    assert runs - {run.run_id for run in instance.get_runs()} == set(gone.names)
    assert [shown(project, instance) for project in projects] == before
    assert counts(look(one, instance)) == {LAST: 2}
    assert counts(look(two, instance)) == {LAST: 2}
    after = dg.evaluate_automation_conditions(definitions, instance, cursor=seen.cursor)
    assert after.total_requested == 0
    assert make_first(one, instance) == []
    change(one, 300)
    assert make_first(one, instance) == [f"{FIRST}[train-part-00]"]


def test_a_run_stays_that_failed_last_is_under_way_or_decided_about_a_release(projects, instance):
    one, _ = projects
    make_first(one, instance)
    made = {run.tags["dagster/partition"]: run for run in instance.get_runs()}
    change(one, 100)
    make_first(one, instance)
    file = one.store.root.parent / "data/train/part-00.jsonl"
    for text in ("", "{"):
        file.write_text(text)
        assert run_project(one.config, instance, FIRST).failed
    assert counts(look(one, instance)) == {None: 2, LAST: 2, LAST_CHECK: 1}, "the first failure goes too"
    decided = look(one, instance, decisions={made["train-part-00"].run_id})
    assert counts(decided) == {None: 1, LAST: 2, LAST_CHECK: 1, DECIDED: 1}
    names = Names.of(one.config)
    plain = dg.AssetsDefinition.from_op(_op_of(FIRST), key_prefix=names.prefix, partitions_def=names.shards)
    going_on = instance.create_run_for_job(
        dg.Definitions(assets=[plain]).resolve_implicit_global_asset_job_def(),  # without the checks
        asset_selection=frozenset({names.key(FIRST)}),
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": "train-part-00"},
    )
    assert counts(look(one, instance))[UNDER_WAY] == 1
    instance.report_run_failed(going_on)
    assert counts(look(one, instance)) == {None: 2, LAST: 2, LAST_CHECK: 1, LAST_TRY: 1}


def _op_of(name: str) -> dg.OpDefinition:
    @dg.op(name=name)
    def op() -> None: ...

    return op


def test_the_runs_of_a_backfill_that_goes_on_stay(projects, instance):
    from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

    one, _ = projects
    make_first(one, instance)
    old = next(run for run in instance.get_runs() if run.tags["dagster/partition"] == "train-part-00")
    instance.add_run_tags(old.run_id, {"dagster/backfill": "b1"})
    change(one, 100)
    make_first(one, instance)
    assert counts(look(one, instance))[None] == 1
    backfill = PartitionBackfill(
        "b1", BulkActionStatus.REQUESTED, from_failure=False, tags={}, backfill_timestamp=datetime.now(UTC).timestamp()
    )
    instance.add_backfill(backfill)
    assert counts(look(one, instance))[IN_BACKFILL] == 1
    instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))
    assert counts(look(one, instance))[None] == 1


def test_in_sqlite_the_files_of_a_run_go_with_it(tmp_path):
    path = write_api_project(tmp_path / "only", NOWHERE, shards=1)
    project = Project(load_config(path))
    with own_instance(project.config) as instance:
        make_first(project, instance)
        change(project, 100)
        make_first(project, instance)
        part = look(project, instance)
        (going,) = (lot for lot in part.lots if lot.kind == "run" and lot.why is None)
        home = project.store.root / ".dagster"
        files = [path for path in home.rglob("*") if path.stem in going.names]
        assert files
        assert going.size == sum(path.stat().st_size for path in files if path.is_file())
        assert datetime.now(UTC) - going.oldest < timedelta(hours=2)
        part.delete()
        assert not [path for path in home.rglob("*") if path.stem in going.names]
        assert make_first(project, instance) == []


STEPS = (
    ("dagster._core.storage.event_log.sql_event_log:SqlEventLogStorage.delete_events_for_run", 1),
    ("os:unlink", 1),
    ("dagster._core.storage.runs.sqlite.sqlite_run_storage:SqliteRunStorage.delete_run", 1),
    ("dagster._core.storage.runs.sqlite.sqlite_run_storage:SqliteRunStorage.delete_run", 2),
)


@pytest.mark.processes
def test_clearing_that_is_killed_is_ended_by_the_next_one(tmp_path):
    path = write_api_project(tmp_path / "only", NOWHERE, shards=1)
    project = Project(load_config(path))
    with own_instance(project.config) as instance:
        make_first(project, instance)
        for first in (100, 200, 300):
            change(project, first)
            make_first(project, instance)
        before = shown(project, instance)
        for step in STEPS:
            killed = start(clear_history_and_die, path, *step)
            killed.join()
            assert killed.exitcode == -signal.SIGKILL
            assert shown(project, instance) == before
        part = look(project, instance)
        assert 1 <= counts(part)[None] <= 2, "one was deleted by the last of them"
        part.delete()
        assert counts(look(project, instance)) == {LAST: 2}
        assert {run.run_id for run in instance.get_runs()} == {
            path.stem for path in (project.store.root / ".dagster").rglob("*-*-*-*-*.db")
        }
        assert shown(project, instance) == before
        assert make_first(project, instance) == []


@needs_postgres
@pytest.mark.processes
def test_on_a_server_the_events_of_a_run_go_with_it(tmp_path, projects):
    one, two = projects
    with open_postgres() as server:
        server.write_instance(tmp_path / "home", INSTANCE_CONFIG)
        with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
            for project in projects:
                make_first(project, instance)
            change(one, 100)
            make_first(one, instance)
            before = [shown(project, instance) for project in projects]
            part = look(one, instance)
            assert counts(part) == {None: 1, LAST: 2}
            (going,) = (lot for lot in part.lots if lot.kind == "run" and lot.why is None)
            assert going.size is None, "nobody knows how much a server frees"
            (run_id,) = going.names
            assert instance.all_logs(run_id)
            part.delete()
            assert not instance.all_logs(run_id)
            assert instance.get_run_by_id(run_id) is None
            assert [shown(project, instance) for project in projects] == before
            assert make_first(one, instance) == []
            assert counts(look(two, instance)) == {LAST: 2}
