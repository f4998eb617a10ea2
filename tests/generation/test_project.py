"""Generation through the assets: killed Dagster runs, layers of retries, torn tables, and the plan."""

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
from distill_dagster.teachers.money import usd
from testing.fault_server import answer_to
from testing.generation_contract import lasting, small_disk
from testing.projects import TINY_LLAMA, run_project, write_project

pytestmark = pytest.mark.processes

CONCURRENCY = 4
SHARD_ROWS = 12


def write_rows(path: Path, numbers) -> None:
    rows = [{"id": f"row-{n}", "messages": [{"role": "user", "content": f"question <{n}>"}]} for n in numbers]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_api_project(folder: Path, server, shards: int = 3, **changes) -> Path:
    """A project with the server as its teacher: shards of a dozen questions without gold answers."""
    endpoint = {
        "url": server.url,
        "model": "made",
        "concurrency": CONCURRENCY,
        "attempts": 1,
        **changes.pop("endpoint", {}),
    }
    teacher = {
        "endpoint": endpoint,
        "generation": {"max_new_tokens": 16},
        "smoke": {"rows": 0},
        **changes.pop("teacher", {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    own_tokenizer = {"student.model.tokenizer": "train"}
    path = write_project(folder, teacher=teacher, task="qa", **own_tokenizer, **changes)
    for old in (folder / "data").rglob("*.jsonl"):
        old.unlink()
    for n in range(shards):
        write_rows(folder / f"data/train/part-{n:02}.jsonl", range(SHARD_ROWS * n, SHARD_ROWS * (n + 1)))
    write_rows(folder / "data/validation.jsonl", range(900, 904))
    write_rows(folder / "data/test.jsonl", range(950, 954))
    return path


ALL = 3 * SHARD_ROWS + 4  # rows that the teacher answers
HELD_OUT = 4  # rows that measure it


def answers(project: Project) -> list[dict]:
    shards = Snapshot(project).get_all("teacher_outputs").values()
    return [row for shard in shards for row in parquet.read_table(shard.file(files.TEACHER_FILE))]


def run_until_answers(path: Path, instance: dg.DagsterInstance):
    return run_project(load_config(path), instance, "teacher_outputs")


@pytest.fixture
def answered(tmp_path, server, instance):
    """A project with answered shards: (path of its config, project)."""
    path = write_api_project(tmp_path, server)
    outcome = run_until_answers(path, instance)
    assert not outcome.failed
    assert server.counts()["total"] == ALL
    return path, Project(load_config(path))


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
        (killed,) = read_status(Snapshot(Project(load_config(path))), dagster)["lost_runs"]
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


def planned(path: Path) -> dict:
    """The plan as `distill-dagster plan --json` prints it."""
    result = CliRunner().invoke(app, ["plan", "--config", str(path), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def fields(plan: dict, *names) -> list[tuple]:
    return [(shard["shard"], *(shard[name] for name in names)) for shard in plan["shards"]]


def test_a_student_that_needs_its_own_code_is_refused_before_the_teacher_is_paid(tmp_path, server, instance):
    student = tmp_path / "student"
    student.mkdir()
    (student / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine"}}))
    path = write_api_project(tmp_path, server, shards=1, **{"student.model": {"name": str(student)}})
    outcome = run_project(load_config(path), instance)
    assert "student.model: " in outcome.failed["teacher_model"]
    assert "wants to run its own code" in outcome.failed["teacher_model"]
    assert server.counts()["total"] == 0


PRICE = {"prompt": 1_000_000, "completion": 2_000_000}
PANEL = {"priced": {"price": PRICE}, "free": {}}


def test_the_plan_of_a_fresh_project_asks_and_makes_nothing(tmp_path, server):
    path = write_api_project(tmp_path, server, endpoint={"price": PRICE}, teacher={"budget_usd": 500})
    plan = planned(path)
    assert server.counts()["total"] == 0
    assert not (tmp_path / "store").exists()
    assert {(step["asset"], step["state"]) for step in plan["steps"]} >= {("teacher_outputs", "missing")}
    assert fields(plan, "rows", "new", "reused") == [
        *((f"train-part-0{n}", SHARD_ROWS, SHARD_ROWS, 0) for n in range(3)),
        ("validation", 4, 4, 0),
    ]
    total = plan["total"]
    assert plan["benchmark"]["new"] == HELD_OUT
    assert (total["new"], total["completion_tokens"]) == (ALL + HELD_OUT, 16 * (ALL + HELD_OUT))
    assert total["cost_usd"] == pytest.approx(total["prompt_tokens"] + 2 * total["completion_tokens"])
    assert (plan["budget_usd"], plan["spent_usd"], plan["seconds"]) == (500, 0, None)
    assert plan["rules"] == [
        "prompt tokens of made: 4 characters a token",
        "completion tokens of made: the limit, max_new_tokens",
        "time: not known, no shard has asked this teacher yet",
    ]


DISCOUNT = {**PRICE, "batch_discount": 0.5}


@pytest.mark.parametrize("batch", [False, True])
def test_the_plan_shows_both_prices(tmp_path, server, batch):
    path = write_api_project(tmp_path, server, endpoint={"price": DISCOUNT, "batch": batch})
    plan = planned(path)
    for part in plan["shards"]:
        assert part["single_usd"] == pytest.approx(part["prompt_tokens"] + 2 * part["completion_tokens"])
        assert part["batch_usd"] == part["single_usd"] / 2
        assert part["cost_usd"] == (part["batch_usd"] if batch else part["single_usd"])
    assert plan["benchmark"]["cost_usd"] == plan["benchmark"]["single_usd"], "all of so few are timed one by one"
    assert plan["benchmark"]["new"] == HELD_OUT
    assert "made: in a batch a request costs 50% less" in plan["rules"]
    shown = CliRunner().invoke(app, ["plan", "--config", str(path)]).output
    assert "one by one" in shown
    assert "in batches" in shown
    assert usd(plan["total"]["batch_usd"]).removesuffix(" USD") in shown
    assert usd(plan["total"]["single_usd"]).removesuffix(" USD") in shown


def test_the_plan_counts_probes_as_the_run_sends_them(tmp_path, server, instance):
    generation = {"max_new_tokens": 16, "temperature": 0.5}
    teacher = {"generation": generation, "smoke": {"rows": 2, "max_failed_share": 1}}
    path = write_api_project(tmp_path, server, shards=2, teacher=teacher)
    plan = planned(path)
    assert sum(shard["new"] for shard in plan["shards"]) == 2 * SHARD_ROWS + 4 + 1, "one probe, at temperature 0"
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == plan["total"]["new"] - HELD_OUT
    assert planned(path)["shards"] == []


def test_the_plan_says_what_a_run_then_asks(answered, server, instance):
    path, _ = answered
    assert planned(path)["shards"] == []
    train = path.parent / "data/train"
    write_rows(train / "part-00.jsonl", [*range(6), 100, 101, 101 + 1])
    write_rows(train / "part-04.jsonl", [6, 7, 14, 100, 200])
    with (train / "part-04.jsonl").open("a") as rows:  # another id, and the prompt of a row in another shard
        rows.write(json.dumps({"id": "copy", "messages": [{"role": "user", "content": "question <101>"}]}) + "\n")
    server.script()
    plan = planned(path)
    assert server.counts()["total"] == 0
    assert fields(plan, "rows", "new", "reused") == [("train-part-00", 9, 3, 6), ("train-part-04", 6, 1, 5)]
    assert sum(shard["completion_tokens"] for shard in plan["shards"]) == 4 * 2, "the mean of the replies so far"
    assert plan["seconds"] >= 0, "from the speed that was measured"
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == plan["total"]["new"] - HELD_OUT == 4
    store = Project(load_config(path)).store
    for shard, _, new, reused in fields(plan, "rows", "new", "reused"):
        result = store.get("teacher_outputs", shard).read(GenerateResult)
        assert (result.asked, result.reused) == (new, reused)
    assert planned(path)["shards"] == []


def test_the_plan_of_several_teachers_counts_each_and_names_the_judge(tmp_path, server, instance):
    def source(model):
        return {"endpoint": {"url": server.url, "model": model, "concurrency": CONCURRENCY}}

    path = write_api_project(
        tmp_path,
        server,
        shards=1,
        teacher={
            "endpoint": None,
            "mix": [{**source("a"), "weight": 2}, source("b")],
            "best_of": {"choose": "judge", "teachers": [source("c")], "judge": source("judge")},
        },
    )
    plan = planned(path)
    assert plan["total"]["new"] == 2 * (SHARD_ROWS + 4) + HELD_OUT
    assert any("the judge is not counted" in rule for rule in plan["rules"])
    assert server.counts()["total"] == 0
    server.script(choices=["same"])  # nothing to judge
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == plan["total"]["new"] - HELD_OUT


def test_the_plan_counts_a_panel_beside_a_local_teacher_that_is_yet_to_be_made(tmp_path, server):
    own = {"architecture": "llama", "settings": TINY_LLAMA, "vocab_size": 400}
    panel = [{"endpoint": {"url": server.url, "model": name, **price}} for name, price in PANEL.items()]
    path = write_api_project(
        tmp_path,
        server,
        shards=1,
        teacher={"endpoint": None, "model": own, "best_of": {"teachers": panel}, "fit": {"learning_rate": 1e-2}},
    )
    plan = planned(path)
    total, rows = plan["total"], SHARD_ROWS + 4
    assert total["new"] == 3 * rows
    assert total["completion_tokens"] == 3 * rows * 16
    of_one = total["prompt_tokens"] / 3, total["completion_tokens"] / 3
    assert total["cost_usd"] == pytest.approx(of_one[0] + 2 * of_one[1]), "the priced one alone"
    assert "free has no `price`: give one to see what its requests cost" in plan["rules"]
    assert not any(rule.startswith("priced has no") for rule in plan["rules"])
    assert server.counts()["total"] == 0


def test_the_plan_of_a_conversation_counts_every_turn(tmp_path, server, instance):
    path = write_api_project(tmp_path, server, shards=1)
    turns = [
        m for text in ("Hi", "Bye") for m in ({"role": "user", "content": text}, {"role": "assistant", "content": "-"})
    ]
    row = {"id": "talk", "task": "conversation", "messages": turns}
    with (path.parent / "data/train/part-00.jsonl").open("a") as rows:
        rows.write(json.dumps(row) + "\n")
    assert make_plan(Snapshot(Project(load_config(path)))).total.new == SHARD_ROWS + 4 + 2 + HELD_OUT
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == SHARD_ROWS + 4 + 2


def test_the_plan_as_tables(answered, tmp_path, server):
    path, _ = answered
    write_rows(path.parent / "data/train/part-00.jsonl", range(300, 305))
    result = CliRunner().invoke(app, ["plan", "--config", str(path)], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for text in (
        "teacher_outputs[train-part-00]",
        "raw_dataset is made again",
        "new requests",
        "time with the teacher",
    ):
        assert text in result.output


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
