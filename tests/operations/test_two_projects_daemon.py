"""One daemon over two projects of one instance: a change in one is followed there, and moves nothing in the other."""

import shutil
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from distill_dagster.assets.naming import Names
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_lineage
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.dagster_internals import old_ticks
from distill_dagster.operations.history import HistoryToClear
from distill_dagster.operations.instance import INSTANCE_CONFIG
from distill_dagster.planning.steps import list_steps
from testing.api_project import write_api_project, write_rows
from testing.clearing import LATER
from testing.dev_server import DevServer
from testing.models_tiny import write_model
from testing.projects import run_project
from testing.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.daemon, pytest.mark.xdist_group("daemon-2"), pytest.mark.timeout(2 * PATIENCE)]
LOCATION = """
import dagster as dg
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions

defs = dg.Definitions.merge(*(build_definitions(load_config(path)) for path in {paths!r}))
"""
SENSORS = """{ sensorsOrError(repositorySelector: {
  repositoryName: "__repository__", repositoryLocationName: "location.py"
}) { ... on Sensors { results { name } } } }"""
KINDS = ("observe_sources", "redistill", "alert")
LAST = "validated_synthetic_set"


@pytest.fixture
def paths(tmp_path, server) -> list[Path]:
    """Two projects that automation keeps up to date."""
    write_model(tmp_path / "student")
    changes = {
        "student": {"model": {"name": str(tmp_path / "student")}},
        "automation": {"enabled": True, "observe_seconds": 5},
        "evaluation.latency_requests": 2,
    }
    return [write_api_project(tmp_path / name, server, shards=1, key_prefix=name, **changes) for name in ("one", "two")]


@pytest.fixture
def instance(tmp_path):
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(INSTANCE_CONFIG, home / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(home)) as value:
        yield value


def test_a_change_in_one_moves_nothing_in_the_other(tmp_path, paths, instance, server):
    one, two = projects = [Project(load_config(path)) for path in paths]
    for project in projects:
        assert not run_project(project.config, instance, LAST).failed
    set_before, kept = one.store.get(LAST).version, two.store.get(LAST).version
    answers = two.store.get("teacher_outputs", "train-part-00").version
    location = tmp_path / "location.py"
    location.write_text(LOCATION.format(paths=[str(path) for path in paths]))
    with DevServer(paths[0], location=location, home=tmp_path / "dagster") as running:
        names = {sensor["name"] for sensor in running.ask(SENSORS)["sensorsOrError"]["results"]}
        assert {
            f"{name}_{kind}" for name in ("one", "two") for kind in ("observe_sources", "redistill", "alert")
        } <= names
        looked = dg.RunsFilter(tags={"dagster/sensor_name": "one_redistill"})
        wait_for(lambda: instance.get_runs(looked), "the automation's first look, which a change has to follow")
        server.script()
        write_rows(paths[0].parent / "data/train/part-00.jsonl", range(500, 512))
        wait_for(lambda: one.store.get(LAST).version != set_before, "the first project's new set")
    asked = set(server.counts()["by_prompt"])
    assert asked == {f"question <{n}>" for n in range(500, 512)}
    assert (two.store.get(LAST).version, two.store.get("teacher_outputs", "train-part-00").version) == (kept, answers)
    assert [step.title for step in list_steps(Snapshot(two)) if step.asset == LAST and not step.is_fresh] == []
    require_that_clearing_one_leaves_the_other(one, two, instance)


def require_that_clearing_one_leaves_the_other(one: Project, two: Project, instance: dg.DagsterInstance) -> None:
    """40 days later, the history of one is cleared: its old runs and ticks go, and nothing of the other's."""
    before = (LATER.now - timedelta(days=LATER.days)).timestamp()
    ticks = {name: old_ticks(instance, [f"{name}_{kind}" for kind in KINDS], before) for name in ("one", "two")}
    assert all(ticks.values())
    runs = {run.run_id: run for run in instance.get_runs()}
    graph = build_lineage(one.config).resolve_asset_graph()
    part = HistoryToClear(instance, Names("one"), graph, LATER).look(set())
    (going,) = (lot for lot in part.lots if lot.kind == "run" and lot.why is None)
    assert going.count >= 2, "the first rows and answers of the shard that changed"
    part.delete()
    gone = [run for run_id, run in runs.items() if instance.get_run_by_id(run_id) is None]
    assert sorted(run.run_id for run in gone) == sorted(going.names)
    assert {key.path[0] for run in gone for key in run.asset_selection or ()} == {"one"}
    assert old_ticks(instance, [f"one_{kind}" for kind in KINDS], before) == []
    assert old_ticks(instance, [f"two_{kind}" for kind in KINDS], before) == ticks["two"]
    assert run_project(one.config, instance, LAST).materialized == []
