"""The worker: real processes side by side, an endpoint among them, and speed.json."""

import json
from pathlib import Path

import psutil
import pytest

from distill_dagster.config import EndpointConfig, EvaluationConfig, ModelConfig, SpeedConfig
from distill_dagster.errors import BudgetError, ComputeError, ModelError
from distill_dagster.evaluation.benchmark import run_benchmark
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.evaluation.speed import benchmark
from distill_dagster.evaluation.speed.benchmark import draw_prompts, time_models
from distill_dagster.evaluation.speed.contestants import CAN_STOP, Child
from distill_dagster.evaluation.speed.engines import Order
from distill_dagster.evaluation.speed.specs import SpeedDocument, SpeedSpec, TimedModel
from distill_dagster.models.building import build, save, train_tokenizer
from distill_dagster.models.pinning import pin
from distill_dagster.models.ref import ModelRef
from distill_dagster.store import parquet, schemas
from distill_dagster.teachers.faculty import endpoint_ref
from distill_dagster.teachers.responses import Responses
from testing.timed import MACHINE
from testing.waiting import wait_for
from tests.evaluation.builders import ROWS

SPEED = SpeedConfig(rounds=3, seconds=1, concurrency=[1, 2], endpoint_requests=7)
EVALUATION = EvaluationConfig(latency_requests=5, resamples=200, speed=SPEED)
PRICE = {"prompt": 0, "completion": 1_000_000}  # a dollar a token


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> ModelRef:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer([m["content"] for row in ROWS for m in row["messages"]] * 2, 320)
    settings = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    settings["max_position_embeddings"] = 256
    save(build(ModelConfig(architecture="llama", settings=settings), tokenizer), tokenizer, folder)
    return pin(ModelConfig(name=str(folder)))


def spec_of(folder: Path, models: list[TimedModel], **changes) -> SpeedSpec:
    parquet.write_table(folder / "raw.parquet", ROWS, schemas.RAW)
    (folder / "out").mkdir(exist_ok=True)
    given = {
        "models": models,
        "machine": MACHINE,
        "rows": str(folder / "raw.parquet"),
        "max_new_tokens": 8,
        "evaluation": EVALUATION,
        "responses": str(folder / "responses"),
        "out": str(folder / "out"),
    }
    return SpeedSpec(**{**given, **changes})


def over_http(server, **endpoint) -> TimedModel:
    settings = {"url": server.url, "model": "made", "attempts": 1, "price": PRICE, **endpoint}
    return TimedModel(name="teacher", model=endpoint_ref(EndpointConfig(**settings)), engine="endpoint")


def written(folder: Path) -> SpeedDocument:
    text = (folder / "out" / "speed.json").read_text()
    return SpeedDocument.model_validate(json.loads(text, parse_constant=pytest.fail))


@pytest.mark.processes
def test_two_models_are_timed_side_by_side(model, tmp_path):
    models = [TimedModel(name=name, model=model) for name in ("teacher", "student")]
    everything = EVALUATION.model_copy(update={"latency_requests": 100})
    result = time_models(spec_of(tmp_path, models, evaluation=everything), "cpu")
    document = written(tmp_path)
    assert document.prompts >= 4
    assert document.skipped == 1, "one prompt does not fit the context"
    assert result.models == document.models
    assert result.ratios == document.ratios
    for one in document.rounds:
        assert [(turn.model, turn.concurrency) for turn in one.turns] == [(m, c) for c in (1, 2) for m in one.order]
    for found in document.models:
        alone = found.level(1)
        assert alone.requests % document.prompts == 0
        assert 0 < alone.first_token_ms.p50 <= alone.latency_ms.p50 <= alone.latency_ms.p95 <= alone.latency_ms.p99
        assert found.level(2).answers_per_second > 0
        assert (found.parameters, found.dtype, found.includes_network) == (model.parameters, "float32", False)
        assert found.bytes_on_disk > 4 * model.parameters
        assert found.memory.floor_bytes > found.memory.weight_bytes >= 4 * model.parameters
        assert found.cost.usd_per_1000 is None
        assert found.cost.seconds_per_1000 > 0
    latency = document.ratio("latency")
    assert latency.withheld or 0.5 < latency.value < 2, "one model against itself"


@pytest.mark.processes
@pytest.mark.skipif(not CAN_STOP, reason="only Linux ends a stopped process with its parent")
def test_a_model_takes_no_core_while_another_has_its_turn(model):
    timed, prompts = TimedModel(name="student", model=model), [ROWS[0]["messages"]]
    with Child(Order(timed=timed, device="cpu", prompts=prompts, max_new_tokens=8)) as child:
        process = psutil.Process(child._process.pid)
        child.use(child.ready.usable)
        wait_for(lambda: process.status() == psutil.STATUS_STOPPED, "the stop")
        assert child.turn([0], 1).wall_s > 0
        wait_for(lambda: process.status() == psutil.STATUS_STOPPED, "the stop")
        assert child.close().peak_bytes > 0


@pytest.mark.processes
def test_a_model_that_cannot_be_opened_says_why(tmp_path):
    gone = ModelRef(path=str(tmp_path / "gone"), name="gone", revision="0")
    models = [TimedModel(name="student", model=gone)]
    with pytest.raises(
        ComputeError, match=r"(?s)measuring gone on cpu failed \(exit status 1.*(cannot be read|is gone)"
    ) as error:
        time_models(spec_of(tmp_path, models), "cpu")
    assert "Traceback" not in str(error.value)
    assert not (tmp_path / "out" / "speed.json").exists()


@pytest.mark.processes
def test_prompts_that_fit_no_model_are_an_error(model, tmp_path):
    models = [TimedModel(name="student", model=model)]
    with pytest.raises(ModelError, match="none of 5 drawn prompts and 300 new tokens fit the context of each of"):
        time_models(spec_of(tmp_path, models, max_new_tokens=300), "cpu")


def test_an_endpoint_is_timed_once_within_its_requests_and_budget(tmp_path, server):
    server.script(choices=["entailment"])
    spec = spec_of(tmp_path, [over_http(server)], evaluation=EVALUATION.model_copy(update={"latency_requests": 10}))
    time_models(spec, "cpu")
    document = written(tmp_path)
    (teacher,) = document.models
    assert server.counts()["total"] == 3 * 2, "three rounds of 7 // 3 requests"
    assert server.counts()["most_in_flight"] == 1
    assert teacher.includes_network
    assert (teacher.level(1).requests, teacher.level(2)) == (6, None)
    turns = [turn for one in document.rounds for turn in one.turns]
    assert len({tuple(turn.latencies_ms) for turn in turns}) == 3, "each round has replies of its own"
    assert teacher.memory.peak_bytes is None
    spent = Responses(tmp_path / "responses").spent()
    assert teacher.cost.usd_per_1000 == pytest.approx(1000 * spent / 6)
    time_models(spec, "cpu")
    assert server.counts()["total"] == 6, "what is stored is not paid for again"
    assert written(tmp_path).models == document.models
    with pytest.raises(BudgetError):
        time_models(spec.model_copy(update={"responses": str(tmp_path / "new"), "budget_usd": spent / 6}), "cpu")
    assert server.counts()["total"] < 12


def test_the_benchmark_sends_those_first_and_the_rounds_then_find_them(tmp_path, server):
    server.script(choices=["entailment"])
    timed = over_http(server)
    benchmark = BenchmarkSpec(
        role="teacher",
        model=timed.model,
        **{name: getattr(spec_of(tmp_path, [timed]), name) for name in ("rows", "max_new_tokens", "responses", "out")},
        evaluation=EVALUATION,
    )
    run_benchmark(benchmark, "cpu")
    asked = server.counts()["total"]
    time_models(spec_of(tmp_path, [timed]), "cpu")
    assert server.counts()["total"] == asked
    assert written(tmp_path).models[0].level(1).requests == 3


def test_an_endpoint_without_an_answer_has_no_figures(tmp_path, server):
    server.script(rules=[{"fault": "status", "status": 503}])
    time_models(spec_of(tmp_path, [over_http(server)]), "cpu")
    (teacher,) = written(tmp_path).models
    assert (teacher.level(1).requests, teacher.level(1).latency_ms.p50, teacher.latencies_ms) == (0, None, [])
    assert teacher.cost.usd_per_1000 is None


def test_prompts_are_drawn_by_seed():
    first = draw_prompts(ROWS, EVALUATION)
    assert len(first) == 5
    assert first == draw_prompts(ROWS, EVALUATION)
    assert first != draw_prompts(ROWS, EVALUATION.model_copy(update={"seed": 1}))
    assert len(draw_prompts(ROWS[:3], EVALUATION)) == 3


def test_the_teacher_is_asked_as_it_teaches(monkeypatch, tmp_path, model):
    """Each model gets the prompts in the form in which it is scored."""
    orders = []

    class Refusing:
        def __init__(self, order):
            orders.append(order)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def use(self, prompts):
            raise ModelError("enough")

        class ready:
            usable = (0,)

    monkeypatch.setattr(benchmark, "Child", Refusing)
    models = [
        TimedModel(name="teacher", model=model, prompting="chain_of_thought"),
        TimedModel(name="student", model=model),
    ]
    with pytest.raises(ModelError, match="enough"):
        time_models(spec_of(tmp_path, models), "cpu")
    teacher, student = orders
    assert len(teacher.prompts) == len(student.prompts) == 5
    nli = [i for i, messages in enumerate(student.prompts) if "Premise" in messages[0]["content"]]
    assert nli
    assert all(len(teacher.prompts[i]) > len(student.prompts[i]) for i in nli)
