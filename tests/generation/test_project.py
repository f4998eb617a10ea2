"""Generation through the assets: killed Dagster runs, layers of retries, torn tables."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.cli.status import read_status
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_lineage
from distill_dagster.errors import DataError
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.lineage.guards import require_current_answers
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.operations.observing import observe
from distill_dagster.operations.orphans import end_orphans
from distill_dagster.operations.runner import Runner
from distill_dagster.planning.plan import make_plan
from distill_dagster.store import files, parquet
from testing.api_project import (
    ALL,
    CONCURRENCY,
    SHARD_ROWS,
    answered_project,
    run_until_answers,
    write_api_project,
    write_rows,
)
from testing.generation_contract import lasting, small_disk
from testing.made_answers import answer_to
from testing.projects import run_project

pytestmark = pytest.mark.processes


def answers(project: Project) -> list[dict]:
    shards = Snapshot(project).get_all("teacher_outputs").values()
    return [row for shard in shards for row in parquet.read_table(shard.file(files.TEACHER_FILE))]


@pytest.fixture
def answered(tmp_path, server, instance):
    """A project with answered shards: (path of its config, project)."""
    return answered_project(tmp_path, server, instance)


def test_a_dagster_run_that_is_killed_goes_on_from_its_journal(tmp_path, server, answered, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    server.script(latency=0.05)
    path = write_api_project(tmp_path / "killed", server)
    command = [Path(sys.executable).with_name("distill-dagster"), "run", "--config", path, "--until", "teacher_outputs"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore"}
    options = {"cwd": root, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **options)
    while server.counts()["total"] < SHARD_ROWS + 5:  # in the middle of the second shard
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as dagster:
        assert end_orphans(dagster) == [], "the run is on"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        (killed,) = read_status(Snapshot(Project(load_config(path))), dagster).lost_runs
        assert end_orphans(dagster) == [killed]
        assert dagster.get_run_by_id(killed).status == dg.DagsterRunStatus.FAILURE
        assert end_orphans(dagster) == []
    assert server.counts()["total"] < ALL
    resumed = CliRunner().invoke(app, [str(argument) for argument in command[1:]])
    assert resumed.exit_code == 0, resumed.output
    assert json.loads(resumed.stdout.splitlines()[-1])["failed"] == {}
    counts = server.counts()
    asked_first = counts["by_prompt"]["Reply with the word OK."]
    assert asked_first == 2, "the preflight of each run"
    assert ALL <= counts["total"] - asked_first <= ALL + CONCURRENCY
    project = Project(load_config(path))
    assert lasting(answers(project)) == lasting(answers(answered[1]))
    for key in Snapshot(project).sources:
        manifests = [p.store.get("teacher_outputs", key) for p in (project, answered[1])]
        assert manifests[0].data_version == manifests[1].data_version


def test_no_layer_above_the_teacher_asks_again_and_the_next_run_asks_what_failed(tmp_path, server, instance):
    changes = {"endpoint": {"attempts": 2, "concurrency": 8}, "checks.min_success_share": 0.9}
    path = write_api_project(tmp_path, server, shards=1, **changes)
    server.script(rules=[{"match": f"<{n}>", "fault": "status", "status": 500} for n in range(4)])
    outcome = run_until_answers(path, instance)
    assert "check enough_answers: 8 of 12 prompts" in outcome.failed["teacher_outputs[train-part-00]"]
    assert sorted(server.counts()["by_prompt"].values()) == [1] * 12 + [2] * 4
    server.script()
    assert run_until_answers(path, instance).materialized == ["teacher_outputs[train-part-00]"]
    assert server.counts()["by_prompt"] == {f"question <{n}>": 1 for n in range(4)}
    server.script()
    assert not run_until_answers(path, instance).materialized
    assert server.counts()["total"] == 0


PASSING = {
    "network": {"fault": "say", "text": "half", "finish_reason": "network_error"},
    "498": {"fault": "status", "status": 498},
    "an error in the choice": {"fault": "say", "text": "half", "choice": {"error": {"code": 502, "message": "down"}}},
    "400 without a reason": {"fault": "status", "status": 400, "body": {}},
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_may_pass_is_planned_and_asked_again_after_the_shard_was_published(
    tmp_path, server, instance, name
):
    path = write_api_project(tmp_path, server, shards=1)
    server.script(rules=[{"match": f"<{n}>", **PASSING[name]} for n in (2, 5)])
    assert "teacher_outputs[train-part-00]" in run_until_answers(path, instance).materialized
    project = Project(load_config(path))
    result = project.store.get("teacher_outputs", "train-part-00").read(GenerateResult)
    assert (result.counts.failed, sum(result.errors.values())) == (2, 2)
    plan = make_plan(Snapshot(project))
    step = next(step for step in plan.steps if step.title == "teacher_outputs[train-part-00]")
    assert (step.state, step.why) == ("stale", ("requests that failed are sent again",))
    assert [shard.new for shard in plan.shards] == [2]
    server.script()
    assert run_until_answers(path, instance).materialized == ["teacher_outputs[train-part-00]"]
    assert server.counts()["by_prompt"] == {"question <2>": 1, "question <5>": 1}
    server.script()
    assert not run_until_answers(path, instance).materialized


def test_a_prompt_that_the_provider_refuses_is_not_asked_again(tmp_path, server, instance):
    path = write_api_project(tmp_path, server, shards=1)
    body = {"error": {"code": "content_filter", "message": "The prompt was filtered"}}
    server.script(rules=[{"match": "<2>", "fault": "status", "status": 400, "body": body}])
    run_until_answers(path, instance)
    server.script()
    assert not run_until_answers(path, instance).materialized
    assert server.counts()["total"] == 0


def test_a_row_that_changes_is_one_call_through_the_assets_too(answered, server, instance):
    path, project = answered
    shard = path.parent / "data/train/part-01.jsonl"
    shard.write_text(shard.read_text().replace("question <14>", "question <714>"))
    server.script()
    outcome = run_until_answers(path, instance)
    assert outcome.materialized == ["raw_dataset[train-part-01]", "teacher_outputs[train-part-01]"]
    assert server.counts()["by_prompt"] == {"question <714>": 1}
    assert len(answers(project)) == ALL


def test_a_shard_that_is_renamed_split_or_grown_asks_for_its_new_rows_only(answered, server, instance):
    path, _ = answered
    train = path.parent / "data/train"
    (train / "part-00.jsonl").rename(train / "moved.jsonl")
    (train / "part-02.jsonl").unlink()
    write_rows(train / "part-01.jsonl", [*range(23, 11, -1), *range(24, 30)])
    write_rows(train / "part-03.jsonl", [*range(30, 36), 100, 101])
    server.script()
    assert not run_until_answers(path, instance).failed
    assert sorted(server.counts()["by_prompt"]) == ["question <100>", "question <101>"]
    project = Project(load_config(path))
    shards = Snapshot(project).get_all("raw_dataset").values()
    raw = [row for shard in shards for row in parquet.read_table(shard.file(files.RAW_FILE))]
    assert [(row["row_id"], row["raw_text"]) for row in answers(project)] == [
        (row["row_id"], answer_to(row["messages"])) for row in raw
    ]


def test_until_all_shards_have_the_new_teachers_answers_no_set_is_made(answered, server, instance, tmp_path):
    path, _ = answered
    path.write_text(path.read_text().replace("model: made", "model: other"))
    server.script(choices=["new"], rules=[{"match": "<13>", "fault": "status", "status": 401}])
    outcome = run_until_answers(path, instance)
    assert list(outcome.failed) == ["teacher_outputs[train-part-01]"]
    changed = Project(load_config(path))
    assert outcome.held[:2] == ["teacher_outputs[train-part-02]", "teacher_outputs[validation]"], "the key is refused"
    with pytest.raises(
        DataError, match=r"teacher_outputs of 3 of 4 shards \(train-part-01, train-part-02, validation\)"
    ):
        require_current_answers(Upstream(Snapshot(changed), STAGES["validated_synthetic_set"], None))
    server.script(choices=["new"])
    assert not run_until_answers(path, instance).failed
    assert {(row["teacher"], row["raw_text"]) for row in answers(changed)} == {("other", "new")}


def test_a_torn_table_is_named_and_made_again_without_a_call(answered, server, instance, tmp_path):
    path, project = answered
    torn = project.store.get("teacher_outputs", "train-part-01").file(files.TEACHER_FILE)
    whole = parquet.read_table(torn)
    torn.write_bytes(torn.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"train-part-01/.*teacher\.parquet cannot be read .* materialize that asset"):
        answers(project)
    assert parquet.read_table(project.store.get("teacher_outputs", "train-part-00").file(files.TEACHER_FILE))
    outcome = run_project(load_config(path), instance, "validated_synthetic_set")
    assert "train-part-01" in outcome.failed["validated_synthetic_set"]
    for file in sorted(project.store.folder("teacher_outputs", "train-part-01").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    server.script()
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == 0
    again = project.store.get("teacher_outputs", "train-part-01").file(files.TEACHER_FILE)
    assert lasting(parquet.read_table(again)) == lasting(whole)


def materialize(config, shard: str) -> str | None:
    """Materialize one shard in its own Dagster instance; returns the error, or None."""
    with dg.DagsterInstance.ephemeral() as instance:
        runner = Runner(Snapshot(Project(config)), build_lineage(config), instance, lambda title, state, why: None)
        observe(instance, runner.look)
        return runner._materialize("teacher_outputs", shard)


def test_two_runs_of_one_shard_publish_it_once(answered, server):
    path, project = answered
    write_rows(path.parent / "data/train/part-01.jsonl", [*range(12, 22), *range(100, 110)])
    with dg.DagsterInstance.ephemeral() as instance:
        run_project(load_config(path), instance, "raw_dataset")
    server.script(latency=0.02)
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(materialize, load_config(path), "train-part-01") for _ in range(2)]
    assert [run.result() for run in runs] == [None, None]
    assert server.counts()["by_prompt"] == {f"question <{n}>": 1 for n in range(100, 110)}
    folder = project.store.folder("teacher_outputs", "train-part-01")
    assert len(list((folder / "versions").iterdir())) == 2, "the one before, and one that both agree on"
    assert len(parquet.read_table(project.store.get("teacher_outputs", "train-part-01").file(files.TEACHER_FILE))) == 20


def test_a_student_that_needs_its_own_code_is_refused_before_the_teacher_is_paid(tmp_path, server, instance):
    student = tmp_path / "student"
    student.mkdir()
    (student / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine"}}))
    path = write_api_project(tmp_path, server, shards=1, **{"student.model": {"name": str(student)}})
    outcome = run_project(load_config(path), instance)
    assert "student.model: " in outcome.failed["teacher_model"]
    assert "wants to run its own code" in outcome.failed["teacher_model"]
    assert server.counts()["total"] == 0


def refused(path: Path, monkeypatch) -> str:
    """The output of a `run` that stops with a user error."""
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what the command leaves there is gone after the test
    result = CliRunner().invoke(app, ["run", "--config", str(path), "--until", "raw_dataset"], env={"COLUMNS": "500"})
    assert result.exit_code == 2, result.output
    return result.output.replace("\n", " ")


def test_a_read_only_store_is_named(tmp_path, server, monkeypatch):
    with small_disk(tmp_path / "disk", "64k") as remount:
        path = write_api_project(tmp_path / "project", server, shards=1, store=str(tmp_path / "disk/store"))
        remount("ro")
        assert "Read-only file system" in refused(path, monkeypatch)


def test_a_database_of_dagster_that_cannot_be_used_is_named(tmp_path, server, monkeypatch):
    path = write_api_project(tmp_path, server, shards=1)
    (tmp_path / "store/.dagster/history/runs.db").mkdir(parents=True)
    told = refused(path, monkeypatch)
    assert "Dagster's database in" in told
    assert "unable to open database file" in told
