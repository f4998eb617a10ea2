"""`distill-dagster demo --change`: one edited row asks one prompt, because the copy's teacher is not fitted again."""

import json

import pytest
import yaml

from distill_dagster.config.reading import load_config
from distill_dagster.demo.change import change_row
from distill_dagster.demo.world import write_dataset
from distill_dagster.errors import ConfigError
from testing.dev_server import run_command
from testing.projects import run_project, tiny_settings


def write_small_demo(folder):
    """A project with the demo's layout, whose models train in seconds."""
    write_dataset(folder / "data", tasks=("qa", "math"), train_rows=60, validation_rows=8, test_rows=8, shards=3)
    (folder / "distill.yaml").write_text(yaml.safe_dump(tiny_settings()))
    return folder / "distill.yaml"


def test_a_demo_that_was_not_run_is_refused_and_nothing_is_copied(tmp_path):
    with pytest.raises(ConfigError, match="holds no finished demo: run `distill-dagster demo` first"):
        change_row(tmp_path)
    write_small_demo(tmp_path)
    with pytest.raises(ConfigError, match="holds no finished demo"):
        change_row(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "distill.yaml"]


@pytest.mark.processes
def test_a_change_asks_one_prompt_and_leaves_the_demo_as_it_was(tmp_path, instance):
    config = load_config(write_small_demo(tmp_path))
    assert not run_project(config, instance, "validated_synthetic_set").failed
    files = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.jsonl")}
    change_row(tmp_path)
    said = run_command("demo", tmp_path, "--change")  # the second edit, of the same row
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[-1] == "1 of 68 prompts asked"
    assert "made  teacher_outputs[train-part-00]" in said.output
    assert "fresh  teacher_outputs[train-part-01]" in said.output
    assert {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.jsonl")} == files
    assert not run_project(config, instance, "validated_synthetic_set").materialized


@pytest.mark.processes
def test_an_edit_changes_one_row_to_a_question_that_no_row_has(tmp_path, instance):
    assert not run_project(load_config(write_small_demo(tmp_path)), instance, "validated_synthetic_set").failed
    edits = [change_row(tmp_path) for _ in range(3)]
    assert len({edits[0].before, *(edit.after for edit in edits)}) == 4
    assert [edit.before for edit in edits[1:]] == [edit.after for edit in edits[:-1]]
    rows = [json.loads(line) for file in (tmp_path / "change").rglob("*.jsonl") for line in file.open()]
    before = [json.loads(line) for file in (tmp_path / "data").rglob("*.jsonl") for line in file.open()]
    changed = [row for row in rows if row not in before]
    assert [row["messages"][-1]["content"].replace("\n", " ") for row in changed] == [edits[-1].after]
    assert changed[0]["group"] not in {row["group"] for row in before}
