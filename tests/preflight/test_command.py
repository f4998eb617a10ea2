"""`check` shows the requirements, and `plan` and `run` end with an error before anything is made."""

import json
from pathlib import Path

from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from testing.api_project import write_api_project


def command(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_check_and_plan_and_run_exit_with_two_before_anything_is_made(tmp_path, server, monkeypatch):
    monkeypatch.delenv("MADE_KEY", raising=False)
    path = write_api_project(tmp_path, server, test_gold="answer", endpoint={"api_key": "MADE_KEY"})
    for verb in ("check", "plan", "run"):
        ended = command(verb, "--config", path)
        assert ended.exit_code == 2, ended.output
        assert "MADE_KEY, which is not set" in " ".join(ended.output.split())
    project = Project(load_config(path))
    assert project.store.find("eval_dataset") is None
    found = json.loads(command("check", "--config", path, "--json").stdout)
    assert [r["what"] for r in found if r["state"] == "error"] == ["key"]
    planned = json.loads(command("plan", "--config", path, "--json").stdout)
    assert [r["what"] for r in planned["preflight"] if r["state"] == "error"] == ["key"]


def test_check_of_a_project_that_can_work_is_one_table_and_exits_with_zero(tmp_path, server):
    shown = command("check", "--config", write_api_project(tmp_path, server, test_gold="answer"))
    assert shown.exit_code == 0, shown.output
    assert "What the run needs" in shown.stdout
    assert "answered" in shown.stdout


def test_check_refuses_an_unknown_asset(tmp_path, server):
    refused = command(
        "check", "--config", write_api_project(tmp_path, server, test_gold="answer"), "--until", "the_end"
    )
    assert refused.exit_code == 2
    assert Path(tmp_path / "store").exists() is False
