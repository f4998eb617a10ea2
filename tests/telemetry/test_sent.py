"""What a real run sends to a collector: the sums are those of the manifests, and the spans join over processes."""

import json
from collections import Counter

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.quality.specs import SetResult
from distill_dagster.sources.specs import ReadResult
from distill_dagster.training.specs import TrainResult
from testing.api_project import write_api_project
from testing.dev_server import run_command
from testing.otlp_collector import Collector

pytestmark = [pytest.mark.processes, pytest.mark.timeout(1800)]
KEY = "sk-made-0123456789abcdefghij"
SHARDS = 2


@pytest.fixture(scope="module")
def sent(tmp_path_factory, fault_server):
    """A run to the student, whose endpoint is overloaded twice and refuses one request: (collector, project)."""
    overloaded = {"match": "<5>", "fault": "status", "status": 503, "times": 2}
    refused = {"match": "<3>", "fault": "status", "status": 400, "body": {"error": {"message": "no such thing"}}}
    fault_server.script(key=KEY, rules=[overloaded, refused])
    endpoint = {"attempts": 5, "api_key": "MADE_KEY", "price": {"prompt": 2.5, "completion": 10}}
    compute = {"backend": "subprocess"}
    folder = tmp_path_factory.mktemp("sent")
    path = write_api_project(folder, fault_server, shards=SHARDS, endpoint=endpoint, compute=compute)
    with (folder / "data/train/part-00.jsonl").open("a") as file:
        file.write("no JSON\n")
    with Collector() as collector:
        said = run_command(
            *("run", "--config", path, "--until", "student_checkpoint"),
            **{**collector.environment, "MADE_KEY": KEY, "DISTILL_LOG_FORMAT": "json", "DISTILL_TRACED_REQUESTS": "1"},
        )
    assert said.exit_code in (0, 1), said.output
    return collector, Project(load_config(path)), said


def results(project, stage, kind):
    look = Snapshot(project)
    return [manifest.read(kind) for manifest in look.get_all(stage).values()]


def calls_of(collector):
    """The spans over the requests of each shard."""
    found = collector.named("chat made")
    return [
        s for s in found if "distill.requests" in s.attributes and s.attributes["distill.stage"] == "teacher_outputs"
    ]


def test_tokens_cost_and_requests_are_those_of_the_manifests(sent):
    collector, project, _ = sent
    answers = results(project, "teacher_outputs", GenerateResult)
    own = {"distill.stage": "teacher_outputs", "distill.role": "teacher", "gen_ai.request.model": "made"}
    tokens = collector.by("gen_ai.client.token.usage", "gen_ai.token.type", **own)
    assert tokens["input"] == sum(result.prompt_tokens for result in answers) > 0
    assert tokens["output"] == sum(result.completion_tokens for result in answers) > 0
    assert collector.sum("distill.cost", **own) == pytest.approx(sum(result.cost_usd for result in answers))
    assert collector.sum("distill.cost", **own) > 0
    sent_now = sum(result.asked for result in answers)
    assert sum(collector.by("distill.requests", "distill.outcome", **own).values()) == sent_now
    assert collector.by("distill.requests", "distill.outcome", **own)["http_400"] == 1
    assert collector.by("distill.retries", "error.type", **own) == {"http_503": 2}


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("raw_dataset", ReadResult),
        ("teacher_outputs", GenerateResult),
        ("validated_synthetic_set", SetResult),
        ("student_checkpoint", TrainResult),
    ],
)
def test_rows_by_reason_are_those_of_the_manifests(sent, stage, kind):
    collector, project, _ = sent
    made = (
        results(project, stage, kind)
        if stage in ("raw_dataset", "teacher_outputs")
        else [project.store.get(stage).read(kind)]
    )
    expected = sum((Counter(result.by_reason()) for result in made), Counter())
    assert collector.by("distill.rows", "distill.reason", **{"distill.stage": stage}) == dict(+expected)
    assert expected["accepted"] > 0


def test_refused_rows_are_counted_by_slug(sent):
    collector, _, _ = sent
    refused = collector.by("distill.rows", "distill.reason")
    assert set(refused) >= {"accepted", "E001", "http_400"}


def test_spans_join_over_processes_in_one_trace(sent):
    collector, _, _ = sent
    (run,) = collector.named("run")
    assert run.parent_id == ""
    apart = [span for span in collector.spans if span.trace_id != run.trace_id]
    assert {span.name for span in apart} == {"chat preflight: made"}  # one short request, before the run
    calls = calls_of(collector)
    assert len(calls) == SHARDS + 1  # the validation file is a shard too
    for call in calls:
        worker = collector.parent(call)
        step = collector.parent(worker)
        assert [span.name for span in (worker, step)] == ["generate_shard", "teacher_outputs"]
        assert collector.parent(step) == run
        assert call.process == worker.process != step.process == run.process
        assert (
            worker.attributes["distill.shard"] == step.attributes["distill.shard"] == call.attributes["distill.shard"]
        )
        assert step.start_ns <= worker.start_ns <= call.start_ns <= call.end_ns <= worker.end_ns <= step.end_ns
    assert sum(call.attributes["distill.requests"] for call in calls) == SHARDS * 12 + 4
    assert {span.attributes["distill.outcome"] for span in collector.named("student_checkpoint")} == {"made"}


def test_each_request_that_is_drawn_has_a_span_below_its_group(sent):
    collector, _, _ = sent
    groups = calls_of(collector)
    requests = [span for span in collector.named("chat made") if collector.parent(span) in groups]
    assert len(requests) == SHARDS * 12 + 4
    for kind in ("input", "output"):
        name = f"gen_ai.usage.{kind}_tokens"
        assert sum(span.attributes[name] for span in requests) == sum(span.attributes[name] for span in groups) > 0
    assert sorted(span.attributes["distill.attempts"] for span in requests)[-2:] == [1, 3]
    assert [span.attributes["error.type"] for span in requests if "error.type" in span.attributes] == ["http_400"]


def test_a_worker_in_the_process_of_its_step_has_a_span_too(sent):
    collector, _, _ = sent
    for worker in collector.named("read_rows"):
        assert collector.parent(worker).name in ("raw_dataset", "eval_dataset")
        assert worker.process == collector.parent(worker).process


def test_steps_say_how_long_they_took_and_waited(sent):
    collector, _, _ = sent
    made = {"distill.stage": "student_checkpoint", "distill.outcome": "made"}
    assert collector.sum("distill.stage.duration", **made) > 0
    assert "distill.queue.duration" in {key[0] for key in collector.points}


def test_no_text_and_no_key_is_sent(sent):
    collector, _, _ = sent
    assert collector.requests
    for body in collector.bodies:
        for text in (b"question <", b"answer ", KEY.encode(), b"no such thing"):
            assert text not in body


def test_standard_error_is_json_lines_with_stage_shard_and_trace(sent):
    collector, _, said = sent
    lines = [json.loads(line) for line in said.output[len(said.stdout) :].splitlines()]
    ended = next(line for line in lines if line["message"] == "made teacher_outputs[train-part-01]")
    assert (ended["stage"], ended["shard"], ended["level"]) == ("teacher_outputs", "train-part-01", "info")
    assert ended["trace_id"] == collector.named("run")[0].trace_id
    assert KEY not in said.output
