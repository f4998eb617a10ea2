"""Two projects in one Dagster instance: what happens in one moves nothing in the other."""

import shutil

import dagster as dg
import pytest

from distill_dagster.assets.naming import Names
from distill_dagster.cli.status import read_status
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.errors import ConfigError
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import stages_of
from distill_dagster.operations.observing import observe
from testing.alert_runs import look_again
from testing.alert_servers import webhook
from testing.api_project import write_api_project, write_rows
from testing.projects import run_project

PREFIXES = ("one", "two")


@pytest.fixture
def projects(tmp_path, server):
    """A project of each prefix over the same server, each with two shards."""
    paths = [write_api_project(tmp_path / name, server, shards=1, key_prefix=name) for name in PREFIXES]
    return [Project(load_config(path)) for path in paths]


def versions_of(project):
    """Artefact -> version that is published."""
    look = Snapshot(project)
    found = {
        (stage.name, shard): look.find(stage.name, shard)
        for stage in stages_of(project.config)
        for shard in (look.shards if stage.sharded else [None])
    }
    return {key: manifest.version for key, manifest in found.items() if manifest}


def definitions_of(projects):
    return dg.Definitions.merge(*(build_definitions(project.config) for project in projects))


def test_they_load_in_one_code_location_under_their_own_names(projects):
    definitions = definitions_of(projects)
    dg.Definitions.validate_loadable(definitions)
    repository = definitions.get_repository_def()
    for name in PREFIXES:
        assert repository.has_sensor_def(f"{name}_observe_sources")
        assert repository.has_sensor_def(f"{name}_redistill")
        assert repository.has_sensor_def(f"{name}_alert")
        assert repository.get_schedule_def(f"{name}_redistill_schedule").job_name == f"{name}_redistill_job"
    keys = {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}
    assert {key.partition("/")[0] for key in keys} == set(PREFIXES)
    pools = {asset.op.pool for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition)}
    assert pools == {None, *(f"{name}_gpu_{kind}" for name in PREFIXES for kind in ("teacher", "student"))}


def test_each_observes_its_own_shards(projects, instance):
    one, two = projects
    assert observe(instance, Snapshot(one)) == ["train-part-00", "validation", "shard_list", "test_files"]
    write_rows(two.store.root.parent / "data/train/part-07.jsonl", range(100, 104))
    assert "train-part-07" in observe(instance, Snapshot(two))
    assert observe(instance, Snapshot(one)) == []
    assert set(instance.get_dynamic_partitions("one_shards")) == {"train-part-00", "validation"}
    assert set(instance.get_dynamic_partitions("two_shards")) == {"train-part-00", "train-part-07", "validation"}


def test_two_projects_of_one_name_are_told_apart_before_one_removes_the_others_partitions(tmp_path, server, instance):
    paths = [write_api_project(tmp_path / name, server, shards=shards) for name, shards in (("a", 1), ("b", 2))]
    one, two = (Project(load_config(path)) for path in paths)
    one.store.root.mkdir()
    observe(instance, Snapshot(one))
    with pytest.raises(ConfigError, match=r"holds another project under the same names: its store is .*/a/store, this"):
        observe(instance, Snapshot(two))
    assert set(instance.get_dynamic_partitions("shards")) == {"train-part-00", "validation"}
    shutil.rmtree(one.store.root)
    assert "train-part-01" in observe(instance, Snapshot(two)), "a store that is gone holds nothing"


@pytest.mark.processes
def test_a_change_in_one_asks_for_nothing_of_the_other(projects, instance):
    definitions, selection = definitions_of(projects), dg.AssetSelection.all()
    for project in projects:
        assert not run_project(project.config, instance, "teacher_outputs").failed
    before, cursor = versions_of(projects[1]), None
    for _ in range(2):
        tick = dg.evaluate_automation_conditions(definitions, instance, selection, cursor=cursor)
        cursor = tick.cursor
    write_rows(projects[0].store.root.parent / "data/train/part-00.jsonl", range(200, 212))
    assert observe(instance, Snapshot(projects[0])) == ["train-part-00"]
    tick = dg.evaluate_automation_conditions(definitions, instance, selection, cursor=cursor)
    asked = {result.key.to_user_string() for result in tick.results if tick.get_num_requested(result.key)}
    assert asked == {"one/raw_dataset"}
    assert not run_project(projects[0].config, instance, "teacher_outputs").failed
    assert versions_of(projects[1]) == before


@pytest.mark.processes
def test_each_alerts_and_lists_its_own_failures(projects, server, instance, monkeypatch):
    one, two = projects
    assert not run_project(two.config, instance, "teacher_outputs").failed
    with webhook() as hook:
        monkeypatch.setenv("DISTILL_ALERT_URLS", hook.url)
        for project in projects:
            look_again(project.config, instance)
        server.script(choices=["I'm sorry, but I can't help with that."])
        write_rows(one.store.root.parent / "data/train/part-00.jsonl", range(300, 312))
        assert run_project(one.config, instance, "teacher_outputs").failed
        for project in (two, one):
            look_again(project.config, instance)
        (post,) = hook.posts
    assert "few_refusals" in str(post)
    assert [check.check for check in read_status(Snapshot(one), instance).failing_checks] == ["few_refusals"] * 2
    assert read_status(Snapshot(two), instance).failing_checks == []


@pytest.mark.processes
def test_a_step_that_fails_is_reported_under_its_asset_and_again_after_it_was_repaired(
    projects, server, instance, monkeypatch
):
    one, two = projects
    with webhook() as hook:
        monkeypatch.setenv("DISTILL_ALERT_URLS", hook.url)
        for project in projects:
            look_again(project.config, instance)
        for posts, fault in enumerate((True, False, True), start=1):
            rule = {"match": "<", "fault": "status", "status": 401}
            server.script(rules=[rule] if fault else [])
            write_rows(one.store.root.parent / "data/train/part-00.jsonl", range(100 * posts, 100 * posts + 12))
            write_rows(one.store.root.parent / "data/validation.jsonl", range(900 + posts, 904 + posts))
            assert bool(run_project(one.config, instance, "teacher_outputs").failed) is fault
            for project in (two, one):
                look_again(project.config, instance)
    assert len(hook.posts) == 2, "the second failure is news, because the first was repaired"
    for post in hook.posts:
        assert "teacher_outputs" in str(post)
        assert "one__" not in str(post)


def test_names_without_a_prefix_are_the_plain_ones():
    names = Names("")
    assert (names.key("raw_dataset").path, names.own("redistill"), names.group("source")) == (
        ["raw_dataset"],
        "redistill",
        "source",
    )
    assert names.asset(dg.AssetKey(["one", "raw_dataset"])) is None
