"""With `longrope` a row reads the same alone and among others, on both engines, in training and in the second pass."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig

from distill_dagster.config import LogitsConfig
from distill_dagster.logits.prefill import Reader
from distill_dagster.logits.sequences import TokenSequence
from distill_dagster.logits.shard import CaptureTally, read_window
from distill_dagster.models.engines.batched import answer_batched
from distill_dagster.models.engines.continuous import answer_continuously, is_supported
from distill_dagster.models.engines.rows import Row, Sampling, generation_settings, grouped, left_padded
from distill_dagster.models.loading import load
from distill_dagster.models.row_limits import NO_LIMITS, RowLimits, longest_row
from distill_dagster.training.batches import LengthBatches
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.text import TextSignal
from testing.long_rope import SWITCH, write_phi3
from testing.models_tiny import COLOURS, rows

LENGTHS = [3, 5, 9, 20, 25, 28, 28, 30, 31, 33, 36, 38, 39, 40, 41, 42, 47, 60, 80]
NEW = 16
ENGINES = [answer_batched, answer_continuously]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    texts = [m["content"] for row in rows(32) for m in row["messages"]] + list(COLOURS)
    made = load(write_phi3(tmp_path_factory.mktemp("models") / "phi3", texts), "cpu")
    made.model.generation_config.eos_token_id = list(range(1, 12))  # answers end after any number of tokens
    return made


@pytest.fixture(scope="module")
def prompts(loaded):
    draw = torch.Generator().manual_seed(0)
    return [torch.randint(12, loaded.model.config.vocab_size, (n,), generator=draw).tolist() for n in LENGTHS]


def alone(loaded, prompt):
    """What `generate` answers to one prompt."""
    ids, mask = left_padded([Row(0, prompt)], 0, "cpu")
    with torch.inference_mode():
        settings = generation_settings(loaded, Sampling(NEW))
        return loaded.model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)[0, len(prompt) :]


def answered(engine, loaded, prompts, budget):
    fresh = [Row(i, prompt) for i, prompt in enumerate(prompts)]
    ended = [row.position for group in engine(loaded, fresh, Sampling(NEW), budget) for row in group]
    assert sorted(ended) == list(range(len(prompts)))
    return [row.answer for row in fresh]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("budget", [64, 300, 10_000])
def test_an_answer_does_not_depend_on_its_neighbours(loaded, prompts, engine, budget):
    expected = [alone(loaded, prompt).tolist() for prompt in prompts]
    assert len({len(answer) for answer in expected}) > 3
    assert answered(engine, loaded, prompts, budget) == expected
    assert answered(engine, loaded, prompts[::-1], budget) == expected[::-1]


def test_rows_on_both_sides_in_one_batch_would_change_answers(loaded, prompts):
    """So that the test above can fail."""
    short, long = prompts[3], prompts[-1]
    ids, mask = left_padded([Row(0, short), Row(1, long)], 0, "cpu")
    with torch.inference_mode():
        settings = generation_settings(loaded, Sampling(NEW))
        out = loaded.model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
    assert out[0, ids.shape[1] :].tolist()[:8] != alone(loaded, short).tolist()[:8]


def test_groups_part_at_the_switch_and_answers_that_cross_it_by_length(loaded):
    limits = RowLimits.of(loaded.model.config)
    assert limits.switch == SWITCH
    made = [Row(i, [5] * n) for i, n in enumerate(LENGTHS)]
    groups = {tuple(sorted(len(row.prompt) for row in group)) for group in grouped(made, NEW, limits)}
    assert groups == {
        (3, 5, 9, 20, 25),
        (28, 28),
        (30,),
        (31,),
        (33,),
        (36,),
        (38,),
        (39,),
        (40,),
        (41, 42, 47, 60, 80),
    }
    assert len(grouped(made, NEW, NO_LIMITS)) == 1
    assert is_supported(loaded.model)


def test_training_reads_a_row_as_alone(loaded, prompts):
    examples = [{"input_ids": ids, "answer_start": 2} for ids in prompts]
    signal = TextSignal(0)

    def loss(positions):
        with torch.no_grad(), computing_loss(loaded.model):
            return float(signal.loss(loaded.model, signal.collate([examples[i] for i in positions]), 1.0))

    own = [loss([i]) for i in range(len(examples))]
    batches = LengthBatches(LENGTHS, 8, seed=0, switch=RowLimits.of(loaded.model.config).switch)
    assert [loss(batch) for batch in batches] == pytest.approx(
        [sum(own[i] for i in batch) for batch in batches], rel=1e-5
    )
    mixed = range(len(examples))
    assert loss(mixed) != pytest.approx(sum(own), rel=1e-3)


@pytest.mark.parametrize("apart", [True, False])
def test_the_second_pass_reads_a_row_as_alone(loaded, prompts, apart):
    reader = Reader(loaded, k=8, slice_elements=loaded.model.config.vocab_size * 7)
    reader.head_apart = apart
    window = [TokenSequence((f"row-{i}", 0, 0), [*ids, 1], 2) for i, ids in enumerate(prompts)]
    config = LogitsConfig(k=8, batch_tokens=10_000)
    together = read_window(window, reader, config, {}, CaptureTally())
    for sequence, row in zip(window, together, strict=True):
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([sequence.ids[:-1]])).logits[0].float()
        own = torch.log_softmax(logits, -1)[1:].topk(8).values.numpy()
        (given,) = reader.read([sequence])
        among = given.ranks < 7  # where the true token is one of the likeliest, the kept ones are these
        np.testing.assert_allclose(given.logprobs.astype(np.float32)[among], own[among], atol=4e-3)
        assert [row] == read_window([sequence], reader, config, {}, CaptureTally())


def test_every_kind_of_rope_is_known():
    def config(**rope):
        return AutoConfig.for_model("llama", rope_parameters={"rope_theta": 1e4, **rope}, max_position_embeddings=64)

    yarn = config(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)
    assert (RowLimits.of(yarn).switch, longest_row(yarn)) == (None, None)
    dynamic = config(rope_type="dynamic", factor=2.0)
    assert (RowLimits.of(dynamic).switch, longest_row(dynamic)) == (None, 64)
    both = config(
        rope_type="longrope", short_factor=[1.0] * 64, long_factor=[2.0] * 64, original_max_position_embeddings=16
    )
    assert (RowLimits.of(both).switch, longest_row(both)) == (16, None)
    layers = AutoConfig.for_model("gemma3_text")
    assert (RowLimits.of(layers).switch, longest_row(layers)) == (None, None)
