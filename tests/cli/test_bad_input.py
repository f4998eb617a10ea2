"""What a user gets wrong: each ends in an error that names the place and the way out, with nothing half-published."""

import json

import dagster as dg
import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.errors import DataError
from distill_dagster.lineage.guards import require_related
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.operations.observing import observe
from testing.api_project import write_api_project
from testing.projects import run_project, unpublish, write_project

pytestmark = pytest.mark.slow


def broken(folder, instance, spoil, **changes):
    """Run a project after `spoil(its data folder)`; returns (project, outcome)."""
    config = load_config(write_project(folder, **changes))
    spoil(folder / "data")
    return Project(config), run_project(config, instance)


def test_a_shard_without_one_valid_row_fails_alone(tmp_path, instance):
    def spoil(data):
        (data / "train" / "part-01.jsonl").write_text('{"messages": 1}\n' * 5)

    project, outcome = broken(tmp_path, instance, spoil)
    assert list(outcome.failed) == ["raw_dataset[train-part-01]"]
    message = outcome.failed["raw_dataset[train-part-01]"]
    assert "part-01.jsonl" in message
    assert "E002" in message
    assert {"raw_dataset[train-part-00]", "raw_dataset[train-part-02]", "raw_dataset[validation]"} <= set(
        outcome.materialized
    )
    assert project.store.find("raw_dataset", "train-part-01") is None
    assert project.store.find("validated_synthetic_set") is None


def unlink_target(path):
    """Let a file be a broken link, such as one that DVC has not pulled."""
    path.unlink()
    path.symlink_to("not-pulled")


def test_a_file_that_cannot_be_read_fails_alone(tmp_path, instance):
    project, outcome = broken(tmp_path, instance, lambda data: unlink_target(data / "train" / "part-01.jsonl"))
    assert list(outcome.failed) == ["raw_dataset[train-part-01]"]
    assert "part-01.jsonl is a link to not-pulled, which does not exist" in outcome.failed["raw_dataset[train-part-01]"]
    assert set(outcome.materialized) == {
        *(f"raw_dataset[{shard}]" for shard in ("train-part-00", "train-part-02", "validation")),
        "eval_dataset",
    }
    assert {"teacher_model", "teacher_outputs[train-part-01]", "validated_synthetic_set"} <= set(outcome.held)
    assert project.store.find("raw_dataset", "train-part-01") is None


@pytest.mark.parametrize(
    ("file", "asset"), [("train/part-01.jsonl", "raw_dataset[train-part-01]"), ("test.jsonl", "eval_dataset")]
)
def test_a_file_that_cannot_be_read_any_more_fails_alone(tmp_path, instance, file, asset):
    config = load_config(write_project(tmp_path))
    made = run_project(config, instance, "eval_dataset").materialized
    unlink_target(tmp_path / "data" / file)
    outcome = run_project(config, instance, "eval_dataset")
    assert list(outcome.failed) == [asset]
    assert f"{file} is a link to not-pulled" in outcome.failed[asset]
    assert outcome.skipped == [name for name in made if name != asset]


def test_the_sensor_passes_over_a_file_that_cannot_be_read(tmp_path, instance):
    config = load_config(write_project(tmp_path))
    project, definitions, warnings = Project(config), build_definitions(config), []
    cursor = dg.evaluate_automation_conditions(definitions, instance=instance).cursor
    unlink_target(tmp_path / "data/train/part-01.jsonl")
    unlink_target(tmp_path / "data/test.jsonl")
    others = ["train-part-00", "train-part-02", "validation"]
    assert observe(instance, Snapshot(project), warnings.append) == [*others, "shard_list"]
    assert len(warnings) == 2
    for name in ("part-01.jsonl", "test.jsonl"):
        assert any(f"{name} is a link to not-pulled" in warning for warning in warnings), name
    tick = dg.evaluate_automation_conditions(definitions, instance=instance, cursor=cursor)
    assert tick.get_requested_partitions(dg.AssetKey("raw_dataset")) == set(others)
    assert not tick.get_num_requested(dg.AssetKey("eval_dataset"))


@pytest.mark.processes
def test_what_does_not_read_a_bad_shard_is_made(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    (path.parent / "data/train/part-01.jsonl").write_text("{}\n")
    outcome = run_project(load_config(path), instance, "student_checkpoint")
    assert list(outcome.failed) == ["raw_dataset[train-part-01]"]
    others = {f"teacher_outputs[{shard}]" for shard in ("train-part-00", "train-part-02", "validation")}
    assert others | {"eval_dataset", "teacher_model"} <= set(outcome.materialized)
    tokenizer = "student_base"  # it is trained on the rows of all shards
    assert outcome.held == [
        *("teacher_outputs[train-part-01]", "validated_synthetic_set", tokenizer, "student_checkpoint"),
    ]


def test_an_endpoint_that_refuses_is_not_asked_to_be_measured(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    server.script(rules=[{"match": "<13>", "fault": "status", "status": 401}])
    outcome = run_project(load_config(path), instance, "teacher_benchmark")
    assert list(outcome.failed) == ["teacher_outputs[train-part-01]"]
    assert {"teacher_outputs[train-part-00]", "student_base"} <= set(outcome.materialized)
    not_asked = ["teacher_outputs[train-part-02]", "teacher_outputs[validation]"]
    assert outcome.held == [*not_asked, "validated_synthetic_set", "student_checkpoint", "teacher_benchmark"]
    assert not any("<95" in prompt for prompt in server.counts()["by_prompt"])


def test_an_empty_shard_is_named(tmp_path, instance):
    _, outcome = broken(tmp_path, instance, lambda data: (data / "train" / "part-02.jsonl").write_text(""))
    assert list(outcome.failed) == ["raw_dataset[train-part-02]"]
    assert "part-02.jsonl" in outcome.failed["raw_dataset[train-part-02]"]


def test_too_many_bad_rows_fail_the_check_and_stop_what_follows(tmp_path, instance):
    def spoil(data):
        with (data / "train" / "part-00.jsonl").open("a") as f:
            f.write("{}\n" * 20)

    project, outcome = broken(tmp_path, instance, spoil)
    assert list(outcome.failed) == ["raw_dataset[train-part-00]"]
    assert "30 of 50 rows are valid (60.0%); at least 90.0% are wanted" in outcome.failed["raw_dataset[train-part-00]"]
    assert project.store.find("raw_dataset", "train-part-00").counts["rejected"] == 20, (
        "the rejects are there to look at"
    )
    assert project.store.find("teacher_model") is None
    again = run_project(project.config, instance)
    assert list(again.failed) == ["raw_dataset[train-part-00]"], "a failed check is not forgotten by the next run"


def test_a_tighter_gate_is_applied_to_what_is_there_already(copy_of_made, tmp_path, instance):
    last = "validated_synthetic_set"
    assert not run_project(load_config(copy_of_made()), instance, last).failed
    tighter = load_config(write_project(tmp_path, **{"checks.min_train_rows": 5000}))
    outcome = run_project(tighter, instance)
    assert list(outcome.failed) == [last]
    assert "5,000 are wanted" in outcome.failed[last]
    assert outcome.materialized == [], "only the checks were run again"
    assert "student_checkpoint" in outcome.held


def test_a_mended_shard_goes_on(tmp_path, instance):
    config = load_config(write_project(tmp_path))
    part = tmp_path / "data" / "train" / "part-00.jsonl"
    good = part.read_text()
    part.write_text("{}\n")
    assert run_project(config, instance).failed
    part.write_text(good)
    outcome = run_project(config, instance, "teacher_model")
    assert not outcome.failed
    assert {"raw_dataset[train-part-00]", "teacher_model"} <= set(outcome.materialized)


@pytest.mark.parametrize(
    ("changes", "asset", "words"),
    [
        ({"teacher.model": {"name": "./no-such-model"}, "teacher.fit": None}, "teacher_model", "no-such-model"),
        ({"teacher.model.architecture": "lama"}, "teacher_model", "lama"),
        ({"teacher.model.settings": {"hidden_sice": 8}}, "teacher_model", "hidden_sice"),
    ],
)
def test_what_cannot_work_is_named_by_the_asset_that_needs_it(tmp_path, instance, changes, asset, words):
    project, outcome = broken(tmp_path, instance, lambda data: None, **changes)
    assert list(outcome.failed) == [asset]
    assert words in outcome.failed[asset]
    assert "Traceback" not in outcome.failed[asset]
    assert project.store.find(asset) is None


def test_devices_that_the_machine_does_not_have_are_named(copy_of_made, instance):
    config = load_config(copy_of_made(**{"compute.train": {"gpus": 1, "cpu": False}}))
    unpublish(Project(config), "student_checkpoint")
    outcome = run_project(config, instance)
    assert list(outcome.failed) == ["student_checkpoint"]
    assert "1 GPU(s) asked for, this machine has 0" in outcome.failed["student_checkpoint"]
    assert Project(config).store.find("student_checkpoint") is None


@pytest.mark.parametrize(
    ("asset", "shard", "read", "named"),
    [
        ("student_checkpoint", None, "student_base", "student_checkpoint"),
        ("student_checkpoint", None, "validated_synthetic_set", "student_checkpoint"),
        ("teacher_outputs", "train-part-01", "teacher_model", "teacher_outputs of train-part-01"),
    ],
)
def test_what_does_not_belong_together_is_not_compared(copy_of_made, tmp_path, asset, shard, read, named):
    project = Project(load_config(copy_of_made()))
    require_related(Upstream(Snapshot(project), STAGES["eval_report"], None))
    manifest = project.store.folder(asset, shard) / "manifest.json"
    document = json.loads(manifest.read_text())
    document["inputs"][read] = "of-another-version"
    manifest.write_text(json.dumps(document))
    with pytest.raises(DataError, match=f"^{named}: made from other inputs than the present ones"):
        require_related(Upstream(Snapshot(project), STAGES["eval_report"], None))


def test_a_torn_parquet_is_named(known_copy):
    config, instance = known_copy
    project = Project(config)
    unpublish(project, "validated_synthetic_set")
    torn = project.store.get("teacher_outputs", "train-part-01").file("teacher.parquet")
    torn.write_bytes(torn.read_bytes()[:100])
    outcome = run_project(config, instance)
    assert list(outcome.failed) == ["validated_synthetic_set"]
    assert str(torn) in outcome.failed["validated_synthetic_set"]


def test_answers_from_different_settings_are_not_mixed(copy_of_made, instance):
    config = load_config(copy_of_made())
    unpublish(Project(config), "validated_synthetic_set")
    assert not run_project(config, instance, "teacher_outputs").failed
    job = build_definitions(config).resolve_implicit_global_asset_job_def()

    def materialize(asset, shard=None, **settings):
        run_config = {"ops": {asset: {"config": settings}}} if settings else {}
        return job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(asset)],
            partition_key=shard,
            run_config=run_config,
            raise_on_error=False,
        )

    assert materialize("teacher_outputs", "train-part-01", max_new_tokens=16).success
    failure = materialize("validated_synthetic_set").failure_data_for_node("validated_synthetic_set")
    assert "2 different generation settings" in failure.user_failure_data.description
    assert Project(config).store.find("validated_synthetic_set") is None
    for shard in ("train-part-00", "train-part-02", "validation"):
        assert materialize("teacher_outputs", shard, max_new_tokens=16).success
    assert materialize("validated_synthetic_set").success, "settings changed for all shards are one set"


def test_a_file_for_training_and_for_test_is_refused(tmp_path, instance):
    config = load_config(write_project(tmp_path, **{"data.train": "data/*.jsonl", "data.validation": []}))
    with pytest.raises(DataError, match=r"matched by data\.test and by data\.train"):
        run_project(config, instance, "eval_dataset")


@pytest.mark.processes
def test_the_teacher_is_not_fitted_to_prompts_of_the_test(tmp_path, instance):
    def leak(data):
        held_out = (data / "test.jsonl").read_text().splitlines()[0]
        with (data / "train" / "part-00.jsonl").open("a") as f:
            f.write(held_out.replace("-test-", "-leak-") + "\n")

    config = load_config(write_project(tmp_path))
    leak(tmp_path / "data")
    assert not run_project(config, instance, "validated_synthetic_set").failed
    assert Project(config).store.get("teacher_model").counts["contaminated"] == 1
    assert Project(config).store.get("validated_synthetic_set").counts["contaminated"] == 1


def test_a_failure_in_the_ui_has_the_same_words(tmp_path, instance):
    config = load_config(write_project(tmp_path))
    job = build_definitions(config).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey("validated_synthetic_set")], raise_on_error=False
    )
    failure = result.failure_data_for_node("validated_synthetic_set").user_failure_data
    assert "is not in" in failure.description
    assert "materialize it first" in failure.description
