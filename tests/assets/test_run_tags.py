"""Tags of a run say how it was started and why it makes something; the condition tree is in words."""

import json

import dagster as dg
import pytest

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.run_tags import BECAUSE, INVOCATION
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage.because import UNCHANGED
from testing.api_project import write_api_project
from testing.projects import run_project, tick

pytestmark = pytest.mark.processes  # each test drives a whole project


def tags(instance, asset: str, shard: str | None = None) -> dict[str, str]:
    """The tags of the last run that made an artefact."""
    key = dg.AssetKey(asset)
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[shard]) if shard else key
    (record,) = instance.fetch_materializations(wanted, limit=1).records
    return instance.get_run_by_id(record.run_id).tags


def edit_one_row(path) -> None:
    first, *others = path.read_text().splitlines()
    row = json.loads(first)
    row["messages"][0]["content"] += " Edited."
    path.write_text("\n".join([json.dumps(row), *others]) + "\n")


def test_every_run_says_what_changed_down_to_the_row(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    config = load_config(path)
    run_project(config, instance, "validated_synthetic_set")
    assert tags(instance, "raw_dataset", "train-part-01")[BECAUSE] == "it was never made, or its files are gone"
    edit_one_row(path.parent / "data/train/part-01.jsonl")
    outcome = run_project(config, instance, "validated_synthetic_set")
    assert not outcome.failed
    raw = tags(instance, "raw_dataset", "train-part-01")
    answers = tags(instance, "teacher_outputs", "train-part-01")
    examples = tags(instance, "validated_synthetic_set")
    assert raw[BECAUSE] == "train-part-01 changed, 1 of 12 rows"
    assert answers[BECAUSE] == "raw_dataset[train-part-01] changed, 1 of 12 rows"
    assert "raw_dataset[train-part-01] changed, 1 of 12 rows" in examples[BECAUSE]
    assert "teacher_outputs[train-part-01] changed, 1 of 12 rows" in examples[BECAUSE]
    assert {run[INVOCATION] for run in (raw, answers, examples)} == {"distill-dagster run"}


def test_a_changed_setting_is_named(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    run_project(load_config(path), instance, "validated_synthetic_set")
    path.write_text(path.read_text() + "\n")
    changed = load_config(path)
    changed = changed.model_copy(update={"quality": changed.quality.model_copy(update={"min_label_rows": 3})})
    run_project(changed, instance, "validated_synthetic_set")
    assert tags(instance, "validated_synthetic_set")[BECAUSE] == "the setting quality changed"


def test_runs_of_the_ui_the_schedule_and_the_automation_are_told_apart(tmp_path, server):
    config = load_config(write_api_project(tmp_path, server))
    definitions = build_definitions(config)
    with dg.instance_for_test() as instance:
        (asked,) = tick(config, instance)
        assert asked.tags[INVOCATION] == "schedule"
        assert asked.tags[BECAUSE].startswith("raw_dataset[train-part-00]: never made; and ")
        stop = {"ops": {"bring_up_to_date": {"config": {"until": "eval_dataset"}}}}
        job = definitions.resolve_job_def("redistill_job")
        assert job.execute_in_process(instance=instance, tags=asked.tags, run_config=stop).success
        assert tags(instance, "eval_dataset")[INVOCATION] == "schedule: job redistill_job"
        assets = definitions.resolve_implicit_global_asset_job_def()
        clicked = {"dagster/from_ui": "true"}
        assert assets.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("eval_dataset")], tags=clicked)
        assert tags(instance, "eval_dataset")[INVOCATION] == "the Dagster UI"
        assert tags(instance, "eval_dataset")[BECAUSE] == UNCHANGED
    sensor = definitions.get_repository_def().get_sensor_def("redistill")
    assert sensor.run_tags[INVOCATION] == "automation: an input changed"


def labels(node) -> set[str]:
    found = {node.node_snapshot.label} if node.node_snapshot.label else set()
    return found.union(*map(labels, node.children))


def test_each_part_of_the_condition_has_a_label_in_words():
    tree = rerun_when_inputs_change().get_snapshot()
    assert all(part.node_snapshot.label for part in tree.children)
    assert {
        "all that it reads is up to date",
        "it has to be made: an input or a setting changed, or it is missing",
        "the version of something that it reads changed",
        "its settings or its code changed",
        "it is not being made",
        "no blocking check of what it reads fails, has crashed, or has not ended",
    } <= labels(tree)
