"""The text signal: weights of a padded batch, and its loss computed by hand."""

import pytest
import torch

from distill_dagster.models.building import build, train_tokenizer
from distill_dagster.training.signals.text import TextSignal
from testing.models_tiny import TINY

ROWS = [
    {"input_ids": [3, 8, 9, 1, 4, 7, 1], "answer_start": 5},
    {"input_ids": [3, 8, 4, 6, 1], "answer_start": 3},
]


@pytest.fixture(scope="module")
def model():
    return build(TINY, train_tokenizer(["some words to merge"], 300)).eval()


def test_answer_tokens_weigh_one_and_prompt_tokens_their_share():
    batch = TextSignal(pad=0, prompt_weight=0.5).collate(ROWS)
    assert batch["weights"].tolist() == [[0, 0.5, 0.5, 0.5, 0.5, 1, 1], [0, 0.5, 0.5, 1, 1, 0, 0]]
    assert batch["input_ids"].tolist()[1] == [3, 8, 4, 6, 1, 0, 0]
    assert batch["first"] == 0
    assert batch["weight"] == 7
    assert TextSignal(pad=0).collate(ROWS)["first"] == 2


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
    loss = signal.loss(model, signal.collate(ROWS)).item()
    assert loss == pytest.approx(by_hand(model, prompt_weight, smoothing), rel=1e-5)


def test_a_model_that_computes_all_logits_gives_the_same_loss(model):
    class Plain:
        def forward(self, input_ids, use_cache):
            return model(input_ids=input_ids, use_cache=use_cache)

        __call__ = forward

    signal = TextSignal(pad=0)
    batch = signal.collate(ROWS)
    assert signal.loss(Plain(), batch).item() == pytest.approx(signal.loss(model, batch).item(), rel=1e-5)
