"""A sweep in the lineage: trials run by the compute, no held-out row read, the best trial's student published."""

import json
import shutil
from pathlib import Path

import dagster as dg
import pytest
import yaml

from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import ASSETS, build_definitions
from distill_dagster.errors import DataError
from distill_dagster.lineage.freshness import code_versions
from distill_dagster.lineage.guards import require_current_sweep
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, deps_of, follows, stages_of
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.operations.runner import QUIET
from distill_dagster.report.document import read_document
from distill_dagster.store import files
from distill_dagster.training.specs import TrainResult
from distill_dagster.tuning.specs import SweepResult, Trial
from distill_dagster.tuning.table import read_trials
from testing.projects import last_metadata, run_project, tiny_settings

SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "batch_size": [8, 16]}
SWEEP = {"student.sweep": {"trials": 3, "space": SPACE, "pruner": {"startup_trials": 1, "warmup": 0}}}
FOLLOWS = ("validated_synthetic_set", "student_base")


def config_of(**changes) -> DistillConfig:
    return DistillConfig.model_validate(tiny_settings(**{**SWEEP, **changes}))


def test_only_a_project_with_a_sweep_has_the_stage_and_it_depends_on_no_held_out_row():
    plain = DistillConfig.model_validate(tiny_settings())
    assert "student_sweep" not in {stage.name for stage in stages_of(plain)}
    assert deps_of(STAGES["student_checkpoint"], plain) == [*FOLLOWS]
    config = config_of()
    assert deps_of(STAGES["student_sweep"], config) == [*FOLLOWS]
    assert deps_of(STAGES["student_checkpoint"], config) == [*FOLLOWS, "student_sweep"]
    assert "student_sweep" in follows(STAGES["eval_report"], config)
    hidden = config_of(**{"student.training.signal": "hidden"})
    assert deps_of(STAGES["student_sweep"], hidden) == [*FOLLOWS, "teacher_model"]
    assert deps_of(STAGES["student_checkpoint"], hidden) == [*FOLLOWS, "student_sweep"]


def test_dagster_loads_it_and_the_student_has_no_settings_of_its_own_in_the_launchpad():
    definitions = build_definitions(config_of())
    dg.Definitions.validate_loadable(definitions)
    assert definitions.resolve_asset_graph().get(dg.AssetKey("student_sweep")).pools == {"gpu_student"}
    fields = definitions.resolve_assets_def("student_checkpoint").op.config_schema.as_field()
    assert "learning_rate" not in str(vars(fields.config_type))


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"student.sweep": {**SWEEP["student.sweep"], "trials": 4}}, "student_sweep"),
        ({"student.sweep": {**SWEEP["student.sweep"], "seed": 4}}, "student_sweep"),
        ({"student.training.epochs": 2}, "student_sweep"),
        ({"student.model.seed": 4}, "student_base"),
    ],
)
def test_a_setting_makes_the_sweep_again_from_the_first_stage_that_it_shapes(changes, first):
    before, after = code_versions(config_of()), code_versions(config_of(**changes))
    assert next(name for name in after if before[name] != after[name]) == first


@pytest.mark.parametrize(("parameter", "is_used"), [("skew", True), ("beta", False)])
def test_a_parameter_of_a_searched_divergence_makes_the_sweep_again(parameter, is_used):
    """Trials use it, although the training that the space starts from has another divergence."""
    space = {"logits": {"divergence": ["forward_kl", "skew_kl"]}}
    logits = {"teacher.logits": {}, "student.training.signal": "logits", "student.sweep": {"trials": 2, "space": space}}
    before = code_versions(config_of(**logits))["student_sweep"]
    after = code_versions(config_of(**logits, **{f"student.training.logits.{parameter}": 0.3}))["student_sweep"]
    assert (before != after) is is_used


def materialize(config: DistillConfig, instance: dg.DagsterInstance, *names: str) -> dg.ExecuteInProcessResult:
    job = build_definitions(config).resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(name) for name in names]
    return job.execute_in_process(instance=instance, asset_selection=keys, run_config=QUIET)


def swept(folder: Path, trials: int) -> DistillConfig:
    """The config of a made project in `folder`, with so many trials."""
    sweep = {**SWEEP["student.sweep"], "trials": trials}
    (folder / "distill.yaml").write_text(
        yaml.safe_dump(tiny_settings(**{"student.sweep": sweep, "student.training.epochs": 2}))
    )
    return load_config(folder / "distill.yaml")


def test_the_best_trial_is_the_student_and_more_trials_go_on_from_there(known_copy, tmp_path):
    _, instance = known_copy
    config = swept(tmp_path, trials=3)
    trials_read_no_held_out_row(config, instance, tmp_path)
    outcome = run_project(config, instance)
    assert outcome.failed == {}
    assert outcome.materialized == ["student_checkpoint", "student_benchmark", "speed_benchmark", "eval_report"]
    shows_its_trials(config, instance)
    before = trials_in(config)
    grown = swept(tmp_path, trials=5)
    assert run_project(grown, instance, "student_checkpoint").failed == {}
    assert len(trials_in(grown)) == 5
    assert trials_in(grown)[:3] == before, "with their times: they were not run again"
    with pytest.raises(DataError, match="student_sweep was made from another student_base"):
        another_base(grown)


def trials_in(config: DistillConfig) -> list[Trial]:
    return read_trials(Project(config).store.get("student_sweep").file(files.TRIALS_FILE))


def trials_read_no_held_out_row(config, instance, folder: Path) -> None:
    """The test file and what was made of it are gone while the trials run, and their spec names neither."""
    spec = ASSETS["student_sweep"].spec_of(
        Upstream(Snapshot(Project(config)), STAGES["student_sweep"], None), folder / "out", folder / "work"
    )
    assert "eval_dataset" not in spec.model_dump_json()
    assert "test.jsonl" not in spec.model_dump_json()
    hidden = folder / "hidden"
    hidden.mkdir()
    made, source = Project(config).store.folder("eval_dataset"), folder / "data" / "test.jsonl"
    shutil.move(made, hidden / "eval_dataset")
    shutil.move(source, hidden / "test.jsonl")
    result = materialize(config, instance, "student_sweep")
    assert result.success
    assert not made.exists(), "nothing made it again"
    runs = [e.message for e in instance.all_logs(result.run_id) if "train_trial runs" in e.message]
    assert runs == ["train_trial runs inline on the CPU"] * 3, "each trial has a lease of its own"
    shutil.move(hidden / "eval_dataset", made)
    shutil.move(hidden / "test.jsonl", source)


def shows_its_trials(config: DistillConfig, instance: dg.DagsterInstance) -> None:
    store = Project(config).store
    sweep, student = store.get("student_sweep"), store.get("student_checkpoint")
    found, result = sweep.read(SweepResult), student.read(TrainResult)
    assert "eval_dataset" not in json.dumps(sweep.inputs)
    assert result.data_version == found.student.data_version
    copied = [name for name in student.files if name.endswith((".safetensors", "config.json", "history.json"))]
    assert len(copied) > 3
    assert {name: student.files[name] for name in copied} == {name: sweep.files[name] for name in copied}
    assert result.found == found.point
    assert result.training["learning_rate"] == found.point["learning_rate"]
    assert student.facts["usage"]["gpu_seconds"] == 0
    assert "## Sweep" in student.file("model/README.md").read_text()
    metadata = last_metadata(instance, "student_sweep")
    assert metadata["best_settings"].value == {
        "learning_rate": pytest.approx(found.point["learning_rate"], rel=1e-3),
        "batch_size": found.point["batch_size"],
    }
    assert [record.data["trial"] for record in metadata["trials"].value.records] == [t.number for t in found.trials]
    document = read_document(store.get("eval_report").file(files.REPORT_FILE))
    assert document.trials == read_trials(sweep.file(files.TRIALS_FILE))
    assert "learning_rate" in document.lineage.student_checkpoint.model_dump()["found"]
    page = store.get("eval_report").file(files.REPORT_PAGE).read_text()
    assert "How the student" in page
    assert 'id="trials-' in page


def another_base(config: DistillConfig) -> None:
    """The guard of the student, with a sweep that trained another student than the present one."""
    look = Snapshot(Project(config))
    upstream = Upstream(look, STAGES["student_checkpoint"], None)
    require_current_sweep(upstream)
    look.get("student_sweep").inputs["student_base"] = "another"
    require_current_sweep(upstream)
