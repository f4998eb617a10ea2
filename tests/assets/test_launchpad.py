"""The launchpad opens with the fields that can be changed, and what was made with changed ones says so."""

import dagster as dg
import pytest
import yaml
from dagster._core.snap.snap_to_yaml import default_values_yaml_from_type_snap

from distill_dagster.assets.student import TRAINING
from distill_dagster.cli.status import read_status
from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.errors import ConfigError
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.report.document import read_document
from distill_dagster.store import files
from testing.projects import run_project, tiny_settings


def opens_with(job: dg.JobDefinition) -> dict:
    """What the launchpad of a job opens with: the UI asks for this text."""
    snapshot = job.get_job_snapshot()
    root = snapshot.config_schema_snapshot.get_config_snap(snapshot.mode_def_snaps[0].root_config_key)
    return yaml.safe_load(default_values_yaml_from_type_snap(snapshot.config_schema_snapshot, root))


def launchpad(config, asset: str) -> dict:
    job = build_definitions(config).resolve_implicit_global_asset_job_def()
    return opens_with(job.get_subset(asset_selection={dg.AssetKey(asset)}))


def test_the_launchpad_of_an_asset_opens_with_the_values_of_the_config(tiny_config):
    shown = launchpad(tiny_config, "student_checkpoint")["ops"]["student_checkpoint"]["config"]
    training = tiny_config.student.training
    assert {"learning_rate", "epochs", "batch_size", "seed", "weights", "optimizer"} <= set(shown)
    assert shown == {name: getattr(training, name) for name in shown}
    shown = launchpad(tiny_config, "teacher_outputs")["ops"]["teacher_outputs"]["config"]
    assert shown == {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 12}


def test_a_run_may_have_other_adapters_than_the_config():
    config = DistillConfig.model_validate(tiny_settings(**{"student.training.lora": {"rank": 4}}))
    shown = launchpad(config, "student_checkpoint")["ops"]["student_checkpoint"]["config"]
    assert shown["lora"] == {"rank": 4, "alpha": 32, "dropout": 0.0, "targets": "all-linear"}
    assert TRAINING.changed(config, shown) == {}
    changed = TRAINING.changed(config, {"lora": {"rank": 8}, "weights": "bfloat16"})
    training = Project(config).with_overrides(TRAINING.section, changed).config.student.training
    assert (training.lora.rank, training.weights) == (8, "bfloat16")
    with pytest.raises(ConfigError, match=r"lora"):
        Project(config).with_overrides(TRAINING.section, {"lora": {"ranks": 8}})


def test_the_launchpad_of_the_job_opens_with_its_last_asset(tiny_config):
    job = build_definitions(tiny_config).resolve_job_def("redistill_job")
    assert opens_with(job) == {"ops": {"bring_up_to_date": {"config": {"until": "eval_report"}}}}


@pytest.mark.parametrize("asset", ["student_checkpoint", "teacher_outputs", "raw_dataset"])
def test_no_launchpad_holds_the_config_of_the_project(tiny_config, asset):
    assert not launchpad(tiny_config, asset).get("resources")


def test_a_job_stops_after_the_asset_that_its_launchpad_names(tiny_config, instance):
    job = build_definitions(tiny_config).resolve_job_def("redistill_job")
    run_config = {"ops": {"bring_up_to_date": {"config": {"until": "eval_dataset"}}}}
    assert job.execute_in_process(instance=instance, run_config=run_config).success
    store = Project(tiny_config).store
    assert store.find("eval_dataset")
    assert store.find("teacher_model") is None


def materialize(config, instance, asset: str, **settings) -> dg.ExecuteInProcessResult:
    job = build_definitions(config).resolve_implicit_global_asset_job_def()
    run_config = {"ops": {asset: {"config": settings}}} if settings else {}
    return job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(asset)], run_config=run_config)


def test_values_of_the_config_in_the_launchpad_change_nothing(copy_of_made, instance):
    config = load_config(copy_of_made())
    before = Project(config).store.get("student_checkpoint")
    shown = launchpad(config, "student_checkpoint")["ops"]["student_checkpoint"]["config"]
    materialize(config, instance, "student_checkpoint", **shown)
    assert Project(config).store.get("student_checkpoint") == before
    assert before.launchpad == {}


@pytest.mark.processes
def test_a_student_that_was_trained_with_other_settings_says_so_everywhere(copy_of_made, instance):
    path = copy_of_made(**{"checks.severity": {"verdict_is_pass": "off", "loads_and_generates": "warn"}})
    config = load_config(path)
    made = materialize(config, instance, "student_checkpoint", epochs=1.0, learning_rate=None)
    (event,) = made.asset_materializations_for_node("student_checkpoint")
    assert event.metadata["made_with_launchpad_settings"].value == {"epochs": 1.0}
    look = Snapshot(Project(config))
    told = [{"artefact": "student_checkpoint", "settings": {"epochs": 1.0}}]
    assert [made.model_dump() for made in read_status(look, instance).launchpad] == told
    for asset in ("student_benchmark", "speed_benchmark", "eval_report"):
        materialize(config, instance, asset)
    document = read_document(look.project.store.get("eval_report").file(files.REPORT_FILE))
    said = "The student was trained with settings of the launchpad instead of those of distill.yaml: epochs 1.0."
    assert said in document.notes
    assert said in look.project.store.get("eval_report").file(files.REPORT_MARKDOWN).read_text()
    assert "student_checkpoint" in run_project(config, instance, "student_checkpoint").materialized
    assert read_status(Snapshot(Project(config)), instance).launchpad == []
