"""A real tiny model answers as it does for its scores, and the turn says how long it took and what it holds."""

import json

import pytest

from distill_dagster.config import ModelConfig
from distill_dagster.evaluation.speed.child import Ask, Ready, serve, take_turn
from distill_dagster.evaluation.speed.engines import OWN, Order, TorchEngine, kv_bytes_per_token
from distill_dagster.evaluation.speed.specs import MemoryUse, TimedModel, Turn
from distill_dagster.models.decoding import complete
from distill_dagster.models.loading import load
from testing.models_tiny import LLAMA, write_model

PROMPTS = [[{"role": "user", "content": f"The cup number {i} is red. Which colour?"}] for i in range(5)]
TOO_LONG = [{"role": "user", "content": "red cup " * 200}]


@pytest.fixture(scope="module")
def timed(tmp_path_factory) -> TimedModel:
    settings = {**LLAMA, "num_hidden_layers": 3, "num_key_value_heads": 1, "max_position_embeddings": 128}
    model = ModelConfig(architecture="llama", settings=settings, vocab_size=400)
    return TimedModel(name="student", model=write_model(tmp_path_factory.mktemp("model"), model))


@pytest.fixture(scope="module")
def engine(timed) -> TorchEngine:
    return TorchEngine(timed, "cpu", 8)


def test_the_answers_are_those_that_are_scored(timed, engine):
    expected = complete(load(timed.model, "cpu"), PROMPTS, max_new_tokens=8, batch_tokens=4096)
    for answered in (engine.answer(PROMPTS), [engine.answer([prompt])[0] for prompt in PROMPTS]):
        assert [(a.prompt_tokens, a.tokens) for a in answered] == [
            (c.prompt_tokens, c.completion_tokens) for c in expected
        ]
        assert all(0 < a.first_token_s < a.latency_s for a in answered if a.tokens > 1)


def test_only_prompts_that_fit_are_asked(engine):
    assert engine.fits(PROMPTS[0])
    assert not engine.fits(TOO_LONG)


def test_the_cache_of_a_token_is_counted(timed, engine):
    loaded = load(timed.model, "cpu")
    of_a_layer = 2 * 1 * 16 * 4  # keys and values, one head of 16, float32
    assert (
        engine.facts.kv_bytes_per_token == kv_bytes_per_token(loaded.model, loaded.tokenizer, "cpu") == 3 * of_a_layer
    )
    assert engine.facts.parameters == timed.model.parameters
    assert engine.facts.weight_bytes >= 4 * timed.model.parameters


def test_a_turn_has_the_clocks_of_its_process_and_every_answer(engine):
    turn = take_turn(engine, "student", [PROMPTS[:4], PROMPTS[1:]], 4)
    assert (len(turn.latencies_ms), len(turn.first_token_ms), turn.concurrency) == (8, 8, 4)
    assert max(turn.latencies_ms) / 1000 <= turn.wall_s
    assert turn.cpu_s > 0
    assert turn.value("answers_per_second") == pytest.approx(8 / turn.wall_s)
    assert turn.value("tokens_per_second") == pytest.approx(turn.tokens / turn.wall_s)


def test_a_model_is_opened_once_and_says_at_the_end_what_it_held(timed):
    order = Order(timed=timed, device="cpu", prompts=[*PROMPTS, TOO_LONG], max_new_tokens=8)
    asks = [Ask(prompts=[0, 4], concurrency=n).model_dump_json() for n in (1, 2)]
    said = []
    serve(order, OWN["torch"], asks, said.append)
    ready, alone, together, memory = said
    assert [type(document) for document in said] == [Ready, Turn, Turn, MemoryUse]
    assert ready.usable == [0, 1, 2, 3, 4], "the last prompt does not fit"
    assert ready.threads >= 1
    assert (len(alone.latencies_ms), len(together.latencies_ms)) == (2, 2)
    assert memory.floor_bytes > 50_000_000, "Python with torch"
    assert memory.peak_bytes >= 0
    assert json.loads(memory.model_dump_json())["weight_bytes"] == ready.weight_bytes


def test_an_engine_that_gives_whole_answers_shows_no_first_token(timed, monkeypatch):
    monkeypatch.setattr("distill_dagster.models.decoding.is_supported", lambda model: False)
    batched = TorchEngine(timed, "cpu", 8)
    assert [answered.first_token_s for answered in batched.answer(PROMPTS)] == [None] * 5
    assert take_turn(batched, "student", [PROMPTS], 5).value("first_token") is None
