"""`distill-dagster status`: what is made next and what holds it, and the latest word of each check on each shard."""

import json
from uuid import uuid4

import dagster as dg
import pytest
from typer.testing import CliRunner

from distill_dagster.assets.naming import Names
from distill_dagster.cli import app
from distill_dagster.cli.status import read_status
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.failing_checks import failing_checks
from distill_dagster.operations.instance import open_instance
from testing.api_project import run_until_answers, write_api_project
from testing.projects import run_project, write_project

BAD = "raw_dataset[train-part-01]"


def spoil(path, shard=1) -> None:
    with (path.parent / f"data/train/part-{shard:02}.jsonl").open("a") as rows:
        rows.write("{}\n" * 20)


def say(instance, passed: bool, severity=dg.AssetCheckSeverity.ERROR, shard="train-part-00") -> None:
    """What the check records in a run of its own."""
    said = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("raw_dataset"),
        check_name="enough_valid_rows",
        passed=passed,
        severity=severity,
        partition=shard,
        metadata={},
    )
    event = dg.DagsterEvent(dg.DagsterEventType.ASSET_CHECK_EVALUATION.value, "test", event_specific_data=said)
    instance.report_dagster_event(event, run_id=str(uuid4()))


def why(found, artefact) -> list[str]:
    return next(step.why for step in found.open if step.artefact == artefact)


def test_what_a_failing_check_holds_is_not_next(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    spoil(path)
    project = Project(load_config(path))
    run_project(project.config, instance, "teacher_model")
    found = read_status(Snapshot(project), instance)
    held = "held by enough_valid_rows of raw_dataset[train-part-01]"
    assert [(check.check, check.artefact) for check in found.failing_checks] == [("enough_valid_rows", BAD)]
    assert {"teacher_outputs[train-part-00]", "teacher_outputs[validation]"} <= set(found.next)
    assert "teacher_outputs[train-part-01]" not in found.next
    assert held in why(found, "teacher_outputs[train-part-01]")
    assert held not in why(found, "teacher_outputs[train-part-00]")
    assert held in why(found, "validated_synthetic_set"), "it reads all shards"
    assert held not in why(found, "eval_report")


def test_a_failing_shard_is_still_known_after_many_words_of_the_others(tmp_path, instance):
    path = write_project(tmp_path)
    spoil(path)
    project = Project(load_config(path))
    run_project(project.config, instance, "raw_dataset")
    for _ in range(60):
        say(instance, passed=True)
    assert [check.artefact for check in read_status(Snapshot(project), instance).failing_checks] == [BAD]
    say(instance, passed=True, shard="train-part-01")
    assert read_status(Snapshot(project), instance).failing_checks == []


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_next(tmp_path, instance):
    project = Project(load_config(write_project(tmp_path)))
    part = tmp_path / "data/train/part-01.jsonl"
    part.unlink()
    part.symlink_to(tmp_path / "not-fetched")
    found = read_status(Snapshot(project), instance)
    assert "not-fetched, which does not exist" in why(found, BAD)[0]
    assert {"raw_dataset[train-part-00]", "raw_dataset[train-part-02]"} <= set(found.next)


def test_a_removed_shard_counts_no_more(tmp_path, instance):
    project = Project(load_config(write_project(tmp_path)))
    say(instance, passed=False, shard="train-part-09")
    assert read_status(Snapshot(project), instance).failing_checks == []


def test_a_check_that_breaks_after_its_artefact_was_made_is_listed(instance):
    @dg.asset
    def table():
        """Is made."""

    @dg.asset_check(asset=table, blocking=True)
    def broken() -> dg.AssetCheckResult:
        raise OSError("cannot be read")

    dg.materialize([table, broken], instance=instance, raise_on_error=False)
    graph = dg.Definitions(assets=[table], asset_checks=[broken]).resolve_asset_graph()
    (found,) = failing_checks(instance, graph, Names(""), set())
    assert (found.check, found.asset, found.severity, found.holds) == ("broken", "table", "ERROR", True)
    assert "failed before it" in (found.description or "")


def test_checks_of_what_could_not_be_made_had_nothing_to_look_at(tmp_path, server, instance):
    path = write_api_project(tmp_path, server, shards=1)
    server.script(rules=[{"match": "<", "fault": "status", "status": 401}])
    assert "teacher_outputs[train-part-00]" in run_until_answers(path, instance).failed
    assert read_status(Snapshot(Project(load_config(path))), instance).failing_checks == []


def status(path) -> tuple[int, dict]:
    result = CliRunner().invoke(app, ["status", "--config", str(path), "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_a_warning_does_not_fail_the_command_and_an_error_does(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what the command leaves there is gone after the test
    path = write_project(tmp_path)
    with open_instance(load_config(path)) as instance:
        say(instance, passed=False, severity=dg.AssetCheckSeverity.WARN)
    monkeypatch.setenv("DAGSTER_HOME", "")
    code, found = status(path)
    assert (code, [check["severity"] for check in found["failing_checks"]]) == (0, ["WARN"])
    with open_instance(load_config(path)) as instance:
        say(instance, passed=False)
    assert status(path)[0] == 1
    shown = CliRunner().invoke(app, ["status", "--config", str(path)])
    assert "automation: off" in shown.output


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"on_change": False, "on_schedule": False}),
        ({"automation.enabled": True}, {"on_change": True, "on_schedule": False}),
        ({"automation.cron": "0 3 * * *"}, {"on_change": False, "on_schedule": True}),
    ],
)
def test_it_says_whether_anything_is_made_by_itself(tmp_path, instance, changes, expected):
    project = Project(load_config(write_project(tmp_path, **changes)))
    assert read_status(Snapshot(project), instance).automation.model_dump() == expected


def test_what_was_switched_in_the_ui_goes_before_the_config(tmp_path):
    from distill_dagster.definitions import build_definitions

    project = Project(load_config(write_project(tmp_path, **{"automation.enabled": True})))
    with dg.instance_for_test() as instance:
        sensor = build_definitions(project.config).get_repository_def().get_sensor_def("redistill")
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
        switch_off(instance, sensor.name)
        assert read_status(Snapshot(project), instance).automation.on_change is False


def switch_off(instance: dg.DagsterInstance, sensor: str) -> None:
    """As the UI's switch does: the code location is loaded, and its sensor stopped."""
    from dagster._core.remote_origin import (
        InProcessCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.scheduler.instigation import (
        InstigatorState,
        InstigatorStatus,
        InstigatorType,
        SensorInstigatorData,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="distill_dagster.definitions"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), sensor)
    instance.add_instigator_state(
        InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED, SensorInstigatorData())
    )
