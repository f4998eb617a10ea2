"""Each command says what is wrong with source files before a teacher is paid; the other files go on."""

import json

import pytest
from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.cli.status import read_status
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.observing import observe
from distill_dagster.planning.plan import make_plan
from testing.projects import run_project, write_project

UNSAFE = "part 01, final.jsonl"
RENAME = "shard name 'train-part 01, final' cannot be a key"
SHARED = "12 ids of train-part-01 are those of other rows in train-part-00, such as '0'"


def command(verb, config):
    return CliRunner().invoke(app, [verb, "--json", "--config", str(config)])


def write_ids(data, *names):
    """Rows whose ids count from 0 in each of these files."""
    for name in names:
        rows = [{"id": n, "messages": [{"role": "user", "content": f"{name} {n}?"}]} for n in range(12)]
        (data / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def unsafe(tmp_path):
    path = write_project(tmp_path)
    (tmp_path / "data/train/part-01.jsonl").rename(tmp_path / "data/train" / UNSAFE)
    return path


def test_a_file_with_an_unsafe_name_fails_alone_in_a_run(unsafe, instance):
    outcome = run_project(load_config(unsafe), instance, "eval_dataset")
    ((failed, why),) = outcome.failed.items()
    assert failed.startswith("raw_dataset[train-part-01-final-")
    assert f"{UNSAFE}: {RENAME}" in why
    others = [f"raw_dataset[{key}]" for key in ("train-part-00", "train-part-02", "validation")]
    assert outcome.materialized == [*others, "eval_dataset"]


def test_it_is_named_before_the_run(unsafe, instance):
    warnings, look = [], Snapshot(Project(load_config(unsafe)))
    changed = observe(instance, look, warnings.append)
    assert [key for key in look.shards if key in changed] == ["train-part-00", "train-part-02", "validation"]
    assert len(instance.get_dynamic_partitions("shards")) == 4
    assert [RENAME in text for text in warnings] == [True]
    found = read_status(look, instance)
    assert found.is_failing
    assert [RENAME in text for text in found.unusable_files.values()] == [True]
    validated = command("validate", unsafe)
    assert validated.exit_code == 1
    errors = [file["error"] for file in json.loads(validated.stdout)["files"] if file["error"]]
    assert [RENAME in text for text in errors] == [True]
    planned = command("plan", unsafe)
    assert planned.exit_code == 1
    document = json.loads(planned.stdout)
    assert [RENAME in text for text in document["problems"]] == [True]
    assert [shard["shard"] for shard in document["shards"]] == ["train-part-00", "train-part-02", "validation"]


def test_ids_that_restart_in_each_file_are_told_before_paying(tmp_path, instance):
    path, data = write_project(tmp_path), tmp_path / "data/train"
    write_ids(data, "part-00.jsonl", "part-01.jsonl")
    validated = command("validate", path)
    assert validated.exit_code == 1
    errors = [file["error"] for file in json.loads(validated.stdout)["files"] if file["error"]]
    assert [SHARED in text and text.startswith("E011") for text in errors] == [True]
    planned = make_plan(Snapshot(Project(load_config(path))))
    assert [SHARED in problem for problem in planned.problems] == [True]
    outcome = run_project(load_config(path), instance, "raw_dataset")
    assert list(outcome.failed) == ["raw_dataset[train-part-01]"], "the first one was alone, and goes on"
    assert SHARED in outcome.failed["raw_dataset[train-part-01]"]
    assert "'train-part-01-0', or leave the ids out" in outcome.failed["raw_dataset[train-part-01]"]


def test_equal_rows_may_share_an_id_in_training_and_not_in_test(tmp_path, instance):
    path, data = write_project(tmp_path, **{"data.test": "data/test*.jsonl"}), tmp_path / "data"
    write_ids(data, "train/part-00.jsonl", "test.jsonl")
    for source, copy in (("train/part-00.jsonl", "train/part-01.jsonl"), ("test.jsonl", "test-2.jsonl")):
        (data / copy).write_text((data / source).read_text())
    outcome = run_project(load_config(path), instance, "eval_dataset")
    assert list(outcome.failed) == ["eval_dataset"]
    files = json.loads(command("validate", path).stdout)["files"]
    assert [file["shard"] for file in files if file["error"]] == ["test-test-2"]


def test_a_project_in_a_folder_with_wildcards_in_its_name_runs(tmp_path, instance):
    folder = tmp_path / "[2024] proj*"
    folder.mkdir()
    outcome = run_project(load_config(write_project(folder)), instance, "raw_dataset")
    assert not outcome.failed
    assert len(outcome.materialized) == 4


def test_a_question_mark_in_the_folder_is_named_before_dagster_opens_another_database(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    folder = tmp_path / "what?"
    folder.mkdir()
    path = write_project(folder)
    refused = CliRunner().invoke(app, ["status", "--config", str(path)])
    assert refused.exit_code == 2
    assert "because of the `?` in the path: rename the folder, or set DAGSTER_HOME" in " ".join(refused.stderr.split())
    assert [found.name for found in tmp_path.iterdir()] == ["what?"]
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    assert CliRunner().invoke(app, ["status", "--json", "--config", str(path)]).exit_code == 0
    assert command("validate", path).exit_code == 0
