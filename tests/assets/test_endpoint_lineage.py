"""The whole lineage with a teacher behind an endpoint: what is asked, what it costs, what is asked again."""

import json
import os

import dagster as dg
import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.evaluation.specs import BenchmarkResult
from distill_dagster.evaluation.speed.specs import SpeedResult
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.plan import make_plan
from distill_dagster.store import files, parquet
from testing.fault_server import FaultServer
from testing.projects import TINY_LLAMA, run_project, write_project

pytestmark = pytest.mark.processes

TIMED = 3  # requests that time the teacher, one in each round
LABELS = ["entailment", "neutral", "contradiction"]


@pytest.fixture(scope="module")
def server():
    with FaultServer() as running:
        running.script(choices=LABELS, key="secret-key")
        yield running


@pytest.fixture(scope="module")
def config_path(server, tmp_path_factory):
    os.environ["TEACHER_KEY"] = "secret-key"
    endpoint = {
        "url": server.url,
        "model": "big",
        "api_key": "TEACHER_KEY",
        "price": {"prompt": 1.0, "completion": 2.0},
    }
    student = {
        "model": {"architecture": "llama", "settings": TINY_LLAMA, "tokenizer": "train", "vocab_size": 400},
        "training": {"learning_rate": 1e-2, "epochs": 2, "batch_size": 16, "evaluations": 1},
    }
    changes = {
        "task": "nli",
        "teacher": {"endpoint": endpoint, "generation": {"max_new_tokens": 12}},
        "student": student,
        "evaluation.speed.endpoint_requests": TIMED,
    }
    yield write_project(tmp_path_factory.mktemp("api"), **changes)
    del os.environ["TEACHER_KEY"]


def drop_math(path):
    """Only the NLI rows of the demo's shards: the server answers with labels."""
    for file in path.parent.glob("data/**/*.jsonl"):
        lines = [line for line in file.read_text().splitlines() if json.loads(line).get("task", "nli") == "nli"]
        file.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def ran(server, config_path):
    """The project, planned before and run once: (project, instance, plan, outcome, server counts)."""
    drop_math(config_path)
    config = load_config(config_path)
    planned, before = make_plan(Snapshot(Project(config))), server.counts()["total"]
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_project(config, instance)
        yield Project(config), instance, (planned, before), outcome, server.counts()


def test_planning_asks_nothing_and_tells_what_the_run_asks(ran):
    project, _, (planned, before), _, counts = ran
    assert before == 0
    assert planned.total.reused == 0
    asked = sum(project.store.get("teacher_outputs", key).facts["asked"] for key in Snapshot(project).sources)
    assert sum(shard.new for shard in planned.shards) == asked > 0
    assert planned.total.new == counts["total"]
    assert planned.total.cost_usd > 0
    assert planned.seconds is None
    assert any("4 characters a token" in rule for rule in planned.rules)
    json.dumps(planned.document())


def test_the_whole_lineage_runs_over_an_endpoint(ran):
    project, _, _, outcome, counts = ran
    assert outcome.failed == {}
    benchmark = project.store.get("teacher_benchmark").read(BenchmarkResult)
    assert (benchmark.parameters, benchmark.device) == (None, "endpoint")
    asked = sum(project.store.get("teacher_outputs", key).facts["asked"] for key in Snapshot(project).sources)
    timed = project.store.get("speed_benchmark").read(SpeedResult)
    (teacher,) = (model for model in timed.models if model.name == "teacher")
    assert (teacher.includes_network, teacher.level(1).requests) == (True, TIMED)
    assert counts["total"] == asked + benchmark.counts.predictions
    report = project.store.get("eval_report").file(files.REPORT_MARKDOWN).read_text()
    assert "The teacher's times include the network" in report


def test_every_row_carries_what_it_cost_and_never_the_key(ran):
    project, _, _, _, _ = ran
    for key in Snapshot(project).sources:
        manifest = project.store.get("teacher_outputs", key)
        rows = parquet.read_table(manifest.file(files.TEACHER_FILE))
        for row in rows:
            assert row["cost_usd"] == pytest.approx((row["prompt_tokens"] + 2 * row["completion_tokens"]) / 1e6)
        assert manifest.facts["table_cost_usd"] == pytest.approx(sum(row["cost_usd"] for row in rows))
    texts = [path.read_bytes() for path in project.store.root.rglob("*") if path.is_file()]
    assert not any(b"secret-key" in text for text in texts)


def test_one_changed_row_is_one_call_and_a_new_price_is_none(ran, server, config_path):
    _, instance, _, _, _ = ran
    before = server.counts()["total"]
    file = config_path.parent / "data" / "train" / "part-00.jsonl"
    first, *rest = file.read_text().splitlines()
    row = json.loads(first)
    row["messages"][-2 if row["messages"][-1]["role"] == "assistant" else -1]["content"] += " Think twice."
    file.write_text("\n".join([json.dumps(row), *rest]) + "\n")
    config_path.write_text(config_path.read_text().replace("completion: 2.0", "completion: 3.0"))
    again = load_config(config_path)
    assert make_plan(Snapshot(Project(again))).total.new == 1
    outcome = run_project(again, instance, "teacher_outputs")
    assert outcome.materialized == ["raw_dataset[train-part-00]", "teacher_outputs[train-part-00]"]
    assert server.counts()["total"] == before + 1
