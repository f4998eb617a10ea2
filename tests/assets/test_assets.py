"""The assets on a real instance: metadata that people want, checks, overrides, automation, observed sources."""

import dagster as dg
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.observing import observe
from distill_dagster.operations.runner import QUIET
from testing.projects import last_metadata, run_project, write_project
from tests.assets.metadata_keys import METADATA, USAGE


def execute(config, instance, asset, **arguments):
    job = build_definitions(config).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(asset)], raise_on_error=False, **arguments
    )


@pytest.mark.parametrize("asset", METADATA)
def test_every_materialization_carries_what_a_person_wants(made, asset):
    _, instance, _ = made
    shard = "train-part-00" if asset in ("raw_dataset", "teacher_outputs") else None
    metadata = last_metadata(instance, asset, shard)
    assert METADATA[asset] | {"counts", "made_from", "dagster/uri", "skipped"} <= metadata.keys()
    if METADATA[asset] >= USAGE:
        assert metadata["device"].value == "cpu"
        assert metadata["dtype"].value == "float32"


def test_metadata_stays_small_enough_for_the_event_log(made):
    _, instance, _ = made
    for asset in METADATA:
        shard = "train-part-00" if asset in ("raw_dataset", "teacher_outputs") else None
        assert len(repr(last_metadata(instance, asset, shard))) < 100_000, asset


def test_the_student_is_a_checkpoint_that_transformers_loads(made):
    project, _, _ = made
    student = project.store.get("student_checkpoint").folder / "model"
    files = {path.name for path in student.iterdir()}
    assert {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "README.md"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(student), AutoTokenizer.from_pretrained(student)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Is the order late?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    assert model.generate(**prompt, max_new_tokens=3).shape[1] > prompt["input_ids"].shape[1]


def test_the_baseline_is_the_weights_that_training_starts_from(made):
    project, _, _ = made
    inputs = project.store.get("student_checkpoint").inputs
    assert inputs["student_base"] == project.store.get("baseline_benchmark").inputs["student_base"]


def test_counts_add_up_through_the_lineage(made):
    project, _, _ = made
    answers = 0
    for shard in Snapshot(project).sources:
        raw, teacher = (
            project.store.get("raw_dataset", shard).counts,
            project.store.get("teacher_outputs", shard).counts,
        )
        assert raw["lines"] == raw["rows"] + raw["rejected"]
        assert teacher["rows"] == raw["rows"]
        assert teacher["requests"] == teacher["ok"] + teacher["failed"]
        answers += teacher["requests"]
    built = project.store.get("validated_synthetic_set").counts
    assert built["teacher_rows"] == answers == built["examples"] + built["rejected"]
    assert built["examples"] == built["train"] + built["validation"]


def test_a_hyperparameter_can_be_changed_for_one_run(known_copy):
    config, instance = known_copy
    before = Project(config).store.get("student_checkpoint")
    run_config = {**QUIET, "ops": {"student_checkpoint": {"config": {"learning_rate": 0.005, "epochs": 1.0}}}}
    assert execute(config, instance, "student_checkpoint", run_config=run_config).success
    after = Project(config).store.get("student_checkpoint")
    assert after.inputs["training"]["learning_rate"] == 0.005
    assert after.data_version != before.data_version
    assert last_metadata(instance, "student_checkpoint")["training_config"].value["epochs"] == 1.0
    wrong = {**QUIET, "ops": {"student_checkpoint": {"config": {"learning_rate": 3.0}}}}
    result = execute(config, instance, "student_checkpoint", run_config=wrong)
    assert "learning_rate" in result.failure_data_for_node("student_checkpoint").user_failure_data.description
    assert Project(config).store.get("student_checkpoint").data_version == after.data_version


def test_materializing_again_does_nothing(made):
    project, instance, _ = made
    before = project.store.get("student_checkpoint").created_at
    assert execute(project.config, instance, "student_checkpoint", run_config=QUIET).success
    assert project.store.get("student_checkpoint").created_at == before
    assert last_metadata(instance, "student_checkpoint")["skipped"].value is True


def test_a_run_of_a_shard_whose_file_was_removed_since_makes_nothing(tmp_path, instance):
    config = load_config(write_project(tmp_path))
    observe(instance, Snapshot(Project(config)))
    (tmp_path / "data" / "train" / "part-01.jsonl").unlink()
    for asset in ("raw_dataset", "teacher_outputs"):
        result = execute(config, instance, asset, partition_key="train-part-01", run_config=QUIET)
        assert result.success, asset
        assert not result.get_asset_materialization_events()
        assert not result.get_asset_check_evaluations()
        assert "the source file of train-part-01 was removed" in str(instance.all_logs(result.run_id))
    assert execute(config, instance, "raw_dataset", partition_key="train-part-00", run_config=QUIET).success
    assert Project(config).store.shards("raw_dataset") == ["train-part-00"]


def test_partitions_follow_the_source_files(tmp_path, instance):
    config = load_config(write_project(tmp_path))
    train, project = tmp_path / "data" / "train", Project(config)
    shards = ["train-part-00", "train-part-01", "train-part-02", "validation"]
    assert observe(instance, Snapshot(project)) == [*shards, "shard_list", "test_files"]
    assert observe(instance, Snapshot(project)) == []
    (train / "part-00.jsonl").touch()
    assert observe(instance, Snapshot(project)) == [], "a touched file is no change"
    (train / "part-01.jsonl").rename(train / "part-07.jsonl")
    (train / "part-02.jsonl").write_text((train / "part-02.jsonl").read_text() + "\n")
    assert observe(instance, Snapshot(project)) == ["train-part-02", "train-part-07", "shard_list"]
    assert set(instance.get_dynamic_partitions("shards")) == {
        "train-part-00",
        "train-part-02",
        "train-part-07",
        "validation",
    }


def requested(config, instance, cursor):
    """What the automation asks for at one tick: asset -> partitions, or True; and the next cursor."""
    tick = dg.evaluate_automation_conditions(build_definitions(config), instance=instance, cursor=cursor)
    asked = {}
    for key in (result.key for result in tick.results):
        if tick.get_num_requested(key):
            partitions = sorted(p for p in tick.get_requested_partitions(key) if p is not None)
            asked[key.to_user_string()] = partitions or True
    return asked, tick.cursor


@pytest.fixture
def settled(copy_of_made, instance):
    """A project that is up to date up to the set, with automation that asks for no more: (config, cursor)."""
    config = load_config(copy_of_made())
    assert not run_project(config, instance, "validated_synthetic_set").failed
    asked, cursor = requested(config, instance, None)
    assert asked == {"student_base": True, "teacher_benchmark": True}, "what follows, and needs nothing else"
    return config, cursor


def test_automation_asks_for_the_changed_shard_then_for_what_reads_it(settled, instance, tmp_path):
    config, cursor = settled
    part = tmp_path / "data" / "train" / "part-01.jsonl"
    part.write_text("".join(part.read_text().splitlines(keepends=True)[1:]))
    observe(instance, Snapshot(Project(config)))
    asked, cursor = requested(config, instance, cursor)
    assert asked == {"raw_dataset": ["train-part-01"]}
    assert execute(config, instance, "raw_dataset", partition_key="train-part-01", run_config=QUIET).success
    asked, cursor = requested(config, instance, cursor)
    assert asked["teacher_model"] is True, "it is fitted to the rows"
    assert "validated_synthetic_set" not in asked, "it waits until the teacher's answers have followed"


def test_a_changed_setting_asks_for_what_it_shapes(settled, instance):
    config, cursor = settled
    generation = config.teacher.generation.model_copy(update={"temperature": 0.5})
    changed = config.model_copy(update={"teacher": config.teacher.model_copy(update={"generation": generation})})
    asked, _ = requested(changed, instance, cursor)
    assert asked == {"teacher_outputs": ["train-part-00", "train-part-01", "train-part-02", "validation"]}


def test_a_removed_file_asks_for_the_set_and_a_changed_test_file_for_its_rows(settled, instance, tmp_path):
    config, cursor = settled
    (tmp_path / "data" / "train" / "part-02.jsonl").unlink()
    assert observe(instance, Snapshot(Project(config))) == ["shard_list"]
    asked, cursor = requested(config, instance, cursor)
    assert asked == {"teacher_model": True, "validated_synthetic_set": True}
    test = tmp_path / "data" / "test.jsonl"
    test.write_text("".join(test.read_text().splitlines(keepends=True)[1:]))
    assert observe(instance, Snapshot(Project(config))) == ["test_files"]
    asked, _ = requested(config, instance, cursor)
    assert asked["eval_dataset"] is True


def test_a_student_that_cannot_be_loaded_is_found_before_it_is_measured(copy_of_made, instance):
    config = load_config(copy_of_made(**{"checks.severity": {}}))
    student = Project(config).store.get("student_checkpoint")
    (weights,) = student.folder.rglob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    outcome = run_project(config, instance, "student_benchmark")
    assert list(outcome.failed) == ["student_checkpoint"]
    assert outcome.failed["student_checkpoint"].startswith("check loads_and_generates: ")
    assert str(student.folder) in outcome.failed["student_checkpoint"]
