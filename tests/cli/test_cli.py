"""The command line: what it prints, and the exit codes that scripts rely on."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.store import files, parquet, schemas
from testing.dev_server import run_command
from testing.projects import write_project

pytestmark = pytest.mark.processes

SCORES = {"teacher", "baseline", "student", "retention", "verdict"}
KEYS = {"seconds", *SCORES, "materialized", "skipped", "report", "student_path"}


def last_line(result) -> dict:
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_a_second_run_makes_nothing_and_says_so(made):
    project, _, first = made
    config = Path(project.config.store).with_name("distill.yaml")
    closing = last_line(first)
    assert closing.keys() == KEYS
    assert closing["skipped"] == 0
    assert f"verdict: {closing['verdict']}." in first.stdout
    assert closing["materialized"] == 18  # 4 shards twice, 10 unpartitioned assets
    assert closing["student"]["parameters"] < closing["teacher"]["parameters"]
    assert Path(closing["report"]).exists()
    assert closing["student_path"] == str(project.store.root / "student")
    assert f"from_pretrained({closing['student_path']!r})" in first.stdout
    assert (project.store.root / "student/model.safetensors").samefile(
        project.store.get("student_checkpoint").file("model/model.safetensors")
    )

    second = run_command("run", "--config", config)
    assert (last_line(second)["materialized"], last_line(second)["skipped"]) == (0, 18)
    assert "Nothing was stale" in second.stdout

    settled = run_command("status", "--config", config, "--json")
    found = json.loads(settled.stdout)
    assert (found["artefacts"], found["open"], found["next"]) == ({"fresh": 18}, [], [])
    of_nonsense = {
        "teacher_above_chance",
        "verdict_is_pass",
        "loads_and_generates",
        "balanced_labels",
        "teacher_agrees_with_gold",
        "teacher_overlaps_gold",
        "few_cut_off",
    }
    assert {c["check"] for c in found["failing_checks"]} <= of_nonsense
    assert settled.exit_code == ("ERROR" in {c["severity"] for c in found["failing_checks"]})

    shown = run_command("report", "--config", config)
    assert shown.exit_code == 0
    assert closing["report"] in shown.stdout.replace("\n", "")
    assert json.loads(run_command("report", "--config", config, "--json").stdout)["benchmarks"].keys() == {
        "teacher",
        "baseline",
        "student",
    }


def test_a_verdict_of_fail_ends_with_the_whole_closing_and_exits_with_three(copy_of_made):
    changes = {
        "evaluation.retention_target": 0.9,  # another one than it was: the report is stale
        "checks.severity": {"loads_and_generates": False},  # which would load it again
    }
    config = copy_of_made(**changes)
    for role, score in (("teacher", 1.0), ("student", 0.0)):
        path = Project(load_config(config)).store.get(f"{role}_benchmark").file(files.PREDICTIONS_FILE)
        parquet.write_table(path, [{**row, "score": score} for row in parquet.read_table(path)], schemas.PREDICTION)
    ended = run_command("run", "--config", config)
    assert ended.exit_code == 3, ended.output
    closing = last_line(ended)
    assert closing.keys() == KEYS
    assert (closing["verdict"], closing["skipped"]) == ("FAIL", 17)
    assert "verdict: FAIL." in ended.stdout
    assert "made  eval_report: verdict FAIL" in ended.output
    again = run_command("run", "--config", config)
    assert (again.exit_code, last_line(again)["verdict"]) == (3, "FAIL")
    assert "fresh  eval_report: verdict FAIL" in again.output


def test_init_gives_a_project_that_is_valid(tmp_path):
    folder = tmp_path / "my project"
    assert run_command("init", folder, "--task", "nli").exit_code == 0
    checked = run_command("validate", "--config", folder / "distill.yaml", "--json")
    assert checked.exit_code == 0
    files = json.loads(checked.stdout)["files"]
    assert [f["split"] for f in files].count("train") == 4
    assert sum(f["rows"] for f in files) == 1810
    again = run_command("init", folder)
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_init_writes_the_schema_that_its_config_names(tmp_path):
    assert run_command("init", tmp_path / "mine").exit_code == 0
    text = (tmp_path / "mine" / "distill.yaml").read_text()
    assert text.splitlines()[0] == "# yaml-language-server: $schema=distill.schema.json"
    schema = json.loads((tmp_path / "mine" / "distill.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(text))
    assert (tmp_path / "mine" / ".gitignore").read_text() == "/store/\n/.distill/\n"


def test_schema_prints_or_writes_the_same_document(tmp_path):
    printed, file = run_command("schema"), tmp_path / "s.json"
    assert run_command("schema", "--output", file).exit_code == 0
    assert json.loads(printed.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert file.read_text() == printed.stdout
    refused = run_command("schema", "--output", tmp_path / "missing" / "s.json")
    assert refused.exit_code == 2
    assert "choose another --output" in " ".join(refused.output.split())


def test_init_names_the_command_as_it_works_from_the_new_folder(tmp_path):
    installed = Path(sys.executable).with_name("distill-dagster")
    relative = os.path.relpath(installed, tmp_path)
    done = subprocess.run([relative, "init", "mine"], cwd=tmp_path, capture_output=True, text=True)
    (command,) = re.findall(r": (\S+) validate, then run", done.stdout)
    assert Path(command).is_absolute()
    assert Path(command).samefile(installed)


def test_init_replaces_nothing(tmp_path):
    own = tmp_path / "data" / "test.jsonl"
    own.parent.mkdir()
    own.write_text("mine")
    refused = run_command("init", tmp_path)
    assert refused.exit_code == 2
    assert "is not empty" in " ".join(refused.output.split())
    assert own.read_text() == "mine"


def test_validate_shows_refused_rows_and_exits_with_one(tmp_path):
    config = write_project(tmp_path)
    with (tmp_path / "data" / "train" / "part-01.jsonl").open("a") as f:
        f.write('{"messages": []}\n{"messages": [{"role": "user", "content": "  "}]}\nnot json\n')
    result = run_command("validate", "--config", config)
    assert result.exit_code == 1
    for code in ("E001", "E002", "E010"):
        assert code in result.stdout
    rejects = json.loads(run_command("validate", "--config", config, "--json").stdout)["rejects"]
    assert [r["line"] for r in rejects] == [31, 32, 33]


@pytest.mark.parametrize("verb", ["run", "validate", "report"])
def test_a_missing_config_exits_with_two_and_the_way_out(tmp_path, verb):
    result = run_command(verb, "--config", tmp_path / "distill.yaml")
    assert result.exit_code == 2
    assert "distill-dagster init" in result.output


def test_a_report_before_the_first_run_says_what_to_do(tmp_path):
    result = run_command("report", "--config", write_project(tmp_path))
    assert result.exit_code == 2
    assert "materialize it first" in result.output.replace("\n", " ")


def test_a_set_is_exported_once_and_a_stale_one_says_so(copy_of_made, tmp_path):
    config, out = copy_of_made(), tmp_path / "set.jsonl"
    done = run_command("export-data", out, "--format", "openai", "--config", config)
    assert done.exit_code == 0, done.output
    rows = [json.loads(line)["messages"] for line in out.read_text().splitlines()]
    assert f"{len(rows)} examples" in done.stdout
    assert {row[-1]["role"] for row in rows} == {"assistant"}
    assert "stale" not in done.output
    again = run_command("export-data", out, "--format", "trl", "--config", config)
    assert (again.exit_code, "exists already" in again.output) == (2, True)
    config = with_other_filters(config)
    stale = run_command("export-data", tmp_path / "more.parquet", "--format", "trl", "--config", config)
    assert stale.exit_code == 0
    assert "validated_synthetic_set is stale" in stale.output


def with_other_filters(config: Path) -> Path:
    settings = yaml.safe_load(config.read_text())
    settings["quality"]["min_label_rows"] = 7
    config.write_text(yaml.safe_dump(settings))
    return config


def test_a_set_that_is_not_made_cannot_be_exported(tmp_path):
    refused = run_command("export-data", tmp_path / "set.jsonl", "--format", "trl", "--config", write_project(tmp_path))
    assert refused.exit_code == 2
    assert "materialize it first" in " ".join(refused.output.split())


def test_an_unknown_asset_is_refused_with_the_choices(tmp_path):
    result = run_command("run", "--config", write_project(tmp_path), "--until", "the_end")
    assert result.exit_code == 2
    assert "teacher_outputs" in result.output


def test_the_installed_command_answers():
    done = subprocess.run([Path(sys.executable).with_name("distill-dagster"), "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    for verb in ("init", "schema", "validate", "run", "report", "demo", "dev"):
        assert verb in done.stdout
