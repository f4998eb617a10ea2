"""The text signal: weights of a padded batch, and its loss computed by hand."""

import pytest
import torch

from distill_dagster.config import ModelConfig
from distill_dagster.models.building import build, train_tokenizer
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.text import TextSignal
from testing.models_tiny import LLAMA, TINY

ROWS = [
    {"input_ids": [3, 8, 9, 1, 4, 7, 1], "answer_start": 5},
    {"input_ids": [3, 8, 4, 6, 1], "answer_start": 3},
]


def scaled(architecture):
    settings = {"gemma2": {"head_dim": 16, "final_logit_softcapping": 0.1}, "cohere": {"logit_scale": 0.25}}
    shape = {**LLAMA, "num_key_value_heads": 1, **settings[architecture]}
    return ModelConfig(architecture=architecture, settings=shape, vocab_size=300)


@pytest.fixture(scope="module")
def model():
    return build(TINY, train_tokenizer(["some words to merge"], 300)).eval()


def test_answer_tokens_weigh_one_and_prompt_tokens_their_share():
    batch = TextSignal(pad=0, prompt_weight=0.5).collate(ROWS)
    assert batch["weights"].tolist() == [[0, 0.5, 0.5, 0.5, 0.5, 1, 1], [0, 0.5, 0.5, 1, 1, 0, 0]]
    assert batch["input_ids"].tolist()[1] == [3, 8, 4, 6, 1, 0, 0]
    assert batch["weight"] == 7


def by_hand(model, prompt_weight, smoothing=0.0):
    """Row by row without padding, position by position."""
    total = torch.zeros(())
    for row in ROWS:
        ids, start = row["input_ids"], row["answer_start"]
        logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), dim=-1)
        for t in range(1, len(ids)):
            true, spread = -logprobs[t - 1, ids[t]], -logprobs[t - 1].mean()
            total += (1.0 if t >= start else prompt_weight) * ((1 - smoothing) * true + smoothing * spread)
    return total.item()


@pytest.mark.parametrize(("prompt_weight", "smoothing"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.1), (1.0, 0.2)])
def test_the_loss_of_a_padded_batch_is_that_of_its_rows(model, prompt_weight, smoothing):
    signal = TextSignal(0, prompt_weight, smoothing)
    expected = by_hand(model, prompt_weight, smoothing)
    with computing_loss(model):
        loss = signal.loss(model, signal.collate(ROWS), 7.0).item()
    assert loss == pytest.approx(expected / 7, rel=1e-5)


@pytest.mark.parametrize("architecture", ["gemma2", "cohere"])
def test_a_model_that_changes_its_logits_behind_the_head_is_trained_on_the_changed_ones(architecture):
    changed = build(scaled(architecture), train_tokenizer(["some words to merge"], 300)).eval()
    signal, expected = TextSignal(pad=0, prompt_weight=0.3), by_hand(changed, 0.3)
    with computing_loss(changed):
        assert signal.loss(changed, signal.collate(ROWS), 1.0).item() == pytest.approx(expected, rel=1e-5)


def test_forward_is_the_models_own_again_after_the_block(model):
    before = model(torch.tensor([[3, 8]])).logits
    with computing_loss(model):
        pass
    assert torch.equal(model(torch.tensor([[3, 8]])).logits, before)
