"""The code location: it loads, fast and without torch, and shows the lineage that the design draws."""

import subprocess
import sys

import dagster as dg
import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.definitions import ASSETS, build_definitions, defs, find_config
from distill_dagster.lineage.stages import STAGES
from testing.projects import write_project

LINEAGE = {
    "raw_shards": set(),
    "shard_list": set(),
    "test_files": set(),
    "raw_dataset": {"raw_shards"},
    "eval_dataset": {"test_files"},
    "teacher_model": {"shard_list", "raw_dataset", "eval_dataset"},
    "teacher_outputs": {"raw_dataset", "teacher_model"},
    "validated_synthetic_set": {"shard_list", "raw_dataset", "teacher_outputs", "eval_dataset"},
    "student_base": {"teacher_model"},
    "student_checkpoint": {"validated_synthetic_set", "student_base"},
    "teacher_benchmark": {"eval_dataset", "teacher_model"},
    "baseline_benchmark": {"eval_dataset", "student_base"},
    "student_benchmark": {"eval_dataset", "student_checkpoint"},
    "eval_report": {
        "teacher_benchmark",
        "baseline_benchmark",
        "student_benchmark",
        "student_checkpoint",
        "eval_dataset",
        "validated_synthetic_set",
    },
}


def test_every_stage_has_its_asset():
    assert set(ASSETS) == set(STAGES)


def test_the_definitions_are_loadable(tiny_config):
    dg.Definitions.validate_loadable(build_definitions(tiny_config))


def test_the_code_location_runs_a_step_in_the_process_of_its_run(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_CONFIG", str(tmp_path / "distill.yaml"))
    assert defs().executor is dg.in_process_executor
    assert build_definitions(tiny_config).executor is None  # a project of a team's own keeps its executor


def test_the_config_is_the_named_one_then_the_one_here_then_the_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISTILL_CONFIG", raising=False)
    assert (find_config().name, find_config().store) == ("support-desk", str(tmp_path / ".demo" / "store"))
    here = write_project(tmp_path, name="here")
    assert find_config().name == "here"
    other = write_project(tmp_path / "other", name="named")
    monkeypatch.setenv("DISTILL_CONFIG", str(other))
    assert (find_config().name, here.exists()) == ("named", True)


def lineage_of(config) -> dict[str, set[str]]:
    """Asset -> the assets that it follows."""
    graph = build_definitions(config).resolve_asset_graph()
    return {
        node.key.to_user_string(): {parent.to_user_string() for parent in node.parent_keys}
        for node in graph.asset_nodes
    }


def test_the_lineage_is_the_one_of_the_design(tiny_config):
    assert lineage_of(tiny_config) == LINEAGE


def test_models_that_are_not_made_from_the_rows_do_not_follow_them(tmp_path):
    endpoint = {"url": "http://127.0.0.1:1/v1", "model": "big"}
    own_tokenizer = {"student.model.tokenizer": "train"}
    lineage = lineage_of(load_config(write_project(tmp_path, teacher={"endpoint": endpoint}, **own_tokenizer)))
    assert lineage["teacher_model"] == set()
    assert lineage["student_base"] == {"shard_list", "raw_dataset"}


def test_benchmarks_follow_the_rows_where_the_labels_are_those_of_the_rows(tmp_path):
    seen = lineage_of(load_config(write_project(tmp_path, task="classification")))
    named = lineage_of(load_config(write_project(tmp_path, task="classification", **{"quality.labels": ["a", "b"]})))
    assert seen["teacher_benchmark"] - named["teacher_benchmark"] == {"shard_list", "raw_dataset"}


def test_every_asset_is_described_grouped_and_versioned(tiny_config):
    for spec in build_definitions(tiny_config).resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.group_name in {"source", "teacher", "dataset", "student", "evaluation"}, spec.key
        assert spec.kinds, spec.key
        assert spec.owners, spec.key
        if spec.key.to_user_string() not in ("raw_shards", "shard_list", "test_files"):
            assert spec.code_version, spec.key


def test_every_sharded_asset_has_a_blocking_check(tiny_config):
    graph = build_definitions(tiny_config).resolve_asset_graph()
    blocking = {key.asset_key.to_user_string() for key in graph.asset_check_keys if graph.get_check_spec(key).blocking}
    assert {"raw_dataset", "teacher_outputs", "validated_synthetic_set", "student_checkpoint"} <= blocking


@pytest.mark.processes
def test_the_location_loads_without_torch(tiny_config):
    heavy = "torch transformers datasets evaluate pandas scipy matplotlib accelerate"
    config = tiny_config.data.test[0].replace("data/test.jsonl", "distill.yaml")
    code = f"""
import sys
import dagster as dg
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import ASSETS, build_definitions
dg.Definitions.validate_loadable(build_definitions(load_config({config!r})))
print([name for name in {heavy.split()} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_resource_is_described_in_sentences_and_not_in_code(tiny_config):
    for name, resource in build_definitions(tiny_config).resources.items():
        assert resource.description.endswith("."), name
        assert ">>>" not in resource.description, name
