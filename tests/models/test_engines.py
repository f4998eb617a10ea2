"""Every engine gives `generate`'s greedy answers, whichever rows share a batch; samples follow the distribution."""

from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_dagster.config import GenerationConfig, ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.decoding import answers, choose_engine, complete
from distill_dagster.models.engines.batched import answer_batched
from distill_dagster.models.engines.continuous import answer_continuously
from distill_dagster.models.engines.replay import Replay
from distill_dagster.models.engines.rows import Row, Sampling, generation_settings, left_padded
from distill_dagster.models.loading import load
from distill_dagster.teachers.local import LocalTeacher
from distill_dagster.teachers.protocol import Request
from testing.models_tiny import LLAMA, rows, write_model

ENDS = list(range(1, 24))  # of some 300 tokens: answers end after any number of them
WIDE = {"initializer_range": 0.2, "max_position_embeddings": 96}
MODELS = {
    "llama": {**LLAMA, **WIDE, "num_key_value_heads": 1},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 96, "initializer_range": 0.2},
    "mistral": {**LLAMA, **WIDE, "sliding_window": 16},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 96, "rotary_dim": 8, "initializer_range": 0.2},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models with many end tokens, by architecture."""
    folder, made = tmp_path_factory.mktemp("models"), {}
    for name, shape in MODELS.items():
        config = ModelConfig(architecture=name, settings=shape, vocab_size=400)
        made[name] = write_model(folder / name, config)
    return made


def opened(models, name):
    loaded = load(models[name], "cpu")
    loaded.model.generation_config.eos_token_id = ENDS
    return loaded


def alone(loaded, prompt, max_new_tokens):
    """What `generate` answers to one prompt."""
    ids, mask = left_padded([Row(0, prompt)], 0, "cpu")
    with torch.inference_mode():
        config = generation_settings(loaded, Sampling(max_new_tokens))
        return loaded.model.generate(input_ids=ids, attention_mask=mask, generation_config=config)[0, len(prompt) :]


def answered(engine, loaded, prompts, sampling, batch_tokens):
    fresh = [Row(i, prompt) for i, prompt in enumerate(prompts)]
    given_back = [row.position for ended in engine(loaded, fresh, sampling, batch_tokens) for row in ended]
    assert sorted(given_back) == list(range(len(prompts)))  # each once
    return [row.answer for row in fresh]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gpt2"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 72), min_size=1, max_size=24),
    new=st.integers(1, 24),
    budget=st.integers(64, 2000),
    seed=st.integers(0, 1000),
)
def test_engines_give_generates_answers(models, name, lengths, new, budget, seed):
    loaded, draw = opened(models, name), torch.Generator().manual_seed(seed)
    prompts = [
        torch.randint(24, loaded.model.config.vocab_size, (length,), generator=draw).tolist() for length in lengths
    ]
    expected = [alone(loaded, prompt, new).tolist() for prompt in prompts]
    for engine in (answer_continuously, answer_batched):
        assert answered(engine, loaded, prompts, Sampling(new), budget) == expected


@pytest.mark.parametrize("name", ["llama", "gpt2", "gptj"])  # the last adds masks to scores in Python
def test_replayed_steps_give_the_same_answers(models, name, monkeypatch):
    """Without a GPU the step runs as it would be recorded, on the same tensors at each step."""
    loaded, made = opened(models, name), []

    def record(*parts):
        made.append(Replay(*parts))
        return made[-1]

    prompts = [[30 + i % 50] * (1 + i % 40) for i in range(60)]
    for sampling in (Sampling(24), Sampling(24, temperature=0.9, seed=3)):
        expected = answered(answer_continuously, loaded, prompts, sampling, 500)
        with monkeypatch.context() as patched:
            patched.setattr(Replay, "is_possible", lambda device: True)
            patched.setattr(Replay, "record", record)
            assert answered(answer_continuously, loaded, prompts, sampling, 500) == expected
    assert len(made) > 10  # the slots were filled again and again


def test_a_model_that_cannot_be_recorded_is_stepped(models, monkeypatch):
    loaded, tried = opened(models, "llama"), []
    prompts = [[30 + i % 50] * (1 + i % 40) for i in range(60)]
    expected = answered(answer_continuously, loaded, prompts, Sampling(24), 500)
    monkeypatch.setattr(Replay, "is_possible", lambda device: True)
    monkeypatch.setattr(Replay, "record", lambda *parts: tried.append(parts))
    assert answered(answer_continuously, loaded, prompts, Sampling(24), 500) == expected
    assert len(tried) == 1


def test_the_made_answers_end_at_many_lengths(models):
    loaded = opened(models, "llama")
    prompts = [[30 + i, 50, 70] for i in range(60)]
    lengths = [len(answer) for answer in answered(answer_continuously, loaded, prompts, Sampling(24), 500)]
    assert len(set(lengths)) > 10  # else the test above would say little


def test_the_budget_holds(models):
    loaded, sizes = opened(models, "llama"), []
    prompts = [[30 + i] * (1 + i % 40) for i in range(60)]
    forward = loaded.model.forward

    def seen(**inputs):
        sizes.append(tuple(inputs["attention_mask"].shape))
        return forward(**inputs)

    loaded.model.forward = seen
    try:
        for _ in answer_continuously(loaded, [Row(i, p) for i, p in enumerate(prompts)], Sampling(24), 500):
            pass
    finally:
        del loaded.model.forward
    assert max(held * columns for held, columns in sizes) <= 500
    assert max(held for held, _ in sizes) > 500 // (40 + 24)  # more slots once the long rows are gone


def test_sampled_answers_depend_on_neither_engine_nor_batch(models):
    loaded, sampling = opened(models, "llama"), Sampling(16, temperature=0.9, top_p=0.8, seed=3)
    prompts = [[30 + i % 5] * (1 + i % 7) for i in range(30)]
    first = answered(answer_continuously, loaded, prompts, sampling, 300)
    assert first == answered(answer_continuously, loaded, prompts, sampling, 2000)
    assert first == answered(answer_batched, loaded, prompts, sampling, 64)
    assert first != answered(answer_continuously, loaded, prompts, Sampling(16, 0.9, 0.8, seed=4), 300)


@pytest.mark.parametrize("top_p", [1.0, 0.6])
def test_samples_follow_the_distribution(models, top_p):
    loaded, count = opened(models, "llama"), 2000
    with torch.inference_mode():
        probabilities = (loaded.model(torch.tensor([[30, 50]])).logits[0, -1] / 0.5).softmax(-1)
    ranked, order = probabilities.sort(descending=True)
    nucleus = order[(ranked.cumsum(0) - ranked) < top_p].tolist()  # the fewest likeliest tokens that make up top_p
    mass = probabilities[nucleus].sum()
    drawn = answered(answer_continuously, loaded, [[30, 50]] * count, Sampling(1, 0.5, top_p), 6000)
    seen = Counter(token for (token,) in drawn)
    assert set(seen) <= set(nucleus)
    for token in nucleus[:3]:
        share = float(probabilities[token] / mass)
        assert abs(seen[token] / count - share) < 4 * (share * (1 - share) / count) ** 0.5  # four standard errors


def test_replies_come_before_all_are_done(models):
    loaded = opened(models, "llama")
    asked = [row["messages"] for row in rows(40)]
    running = answers(loaded, asked, max_new_tokens=24, batch_tokens=200)
    next(running)
    assert not torch.is_inference_mode_enabled()  # the caller's own work is not drawn in
    assert len(list(running)) == 39


def test_a_model_with_a_window_is_run_by_generate_and_continuous_refuses_it(models):
    loaded = opened(models, "mistral")
    assert choose_engine(loaded, "auto") == "batched"
    assert choose_engine(opened(models, "llama"), "auto") == "continuous"
    with pytest.raises(ModelError, match="engine: auto"):
        complete(loaded, [rows(1)[0]["messages"]], max_new_tokens=4, batch_tokens=500, engine="continuous")


def test_the_engine_is_no_part_of_what_is_asked(models):
    asked = [Request(str(i), row["messages"]) for i, row in enumerate(rows(12))]

    def replies(engine):
        teacher = LocalTeacher(models["llama"], GenerationConfig(max_new_tokens=12, engine=engine), "cpu")
        made = {}
        teacher.answer(asked, lambda reply: made.update({reply.request_hash: (reply.text, reply.finish_reason)}))
        return teacher.identity, made

    opened(models, "llama")
    assert replies("continuous") == replies("batched") == replies("auto")


def test_times_of_all_rows_add_up_to_the_wall_time(models):
    import time

    loaded, started = opened(models, "llama"), time.perf_counter()
    made = complete(loaded, [row["messages"] for row in rows(30)], max_new_tokens=24, batch_tokens=500)
    assert 0 < sum(one.latency_ms for one in made) <= (time.perf_counter() - started) * 1000
