"""Every row once an epoch, like lengths together, an order that a resumed run can make again; the loss by hand."""

import pytest

from distill_dagster.models.building import build, train_tokenizer
from distill_dagster.training.batches import LengthBatches, collate
from distill_dagster.training.loss import weighted_loss
from testing.models_tiny import TINY

ROWS = [
    {"input_ids": [3, 8, 9, 1, 4, 7, 1], "answer_start": 5},
    {"input_ids": [3, 8, 4, 6, 1], "answer_start": 3},
]


@pytest.fixture(scope="module")
def model():
    return build(TINY, train_tokenizer(["some words to merge"], 300)).eval()


def lengths(count):
    return [(i * 37) % 101 + 1 for i in range(count)]


def test_an_epoch_has_every_row_once():
    batches = list(LengthBatches(lengths(1003), 16, seed=0))
    assert sorted(i for batch in batches for i in batch) == list(range(1003))
    assert len(batches) == len(LengthBatches(lengths(1003), 16, seed=0)) == 63


def test_like_lengths_share_a_batch():
    own = lengths(1600)
    padded = sum(len(batch) * max(own[i] for i in batch) for batch in LengthBatches(own, 16, seed=0))
    assert sum(own) <= padded < 1.1 * sum(own)


def test_the_order_is_of_seed_and_epoch_alone():
    def order(seed, epoch):
        batches = LengthBatches(lengths(200), 8, seed)
        batches.epoch = epoch
        return list(batches)

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_weights_stand_on_the_answer_and_a_share_on_the_prompt():
    batch = collate(ROWS, pad=0, prompt_weight=0.5)
    assert batch["weights"].tolist() == [[0, 0.5, 0.5, 0.5, 0.5, 1, 1], [0, 0.5, 0.5, 1, 1, 0, 0]]
    assert batch["input_ids"].tolist()[1] == [3, 8, 4, 6, 1, 0, 0]
    assert batch["first"] == 0
    assert collate(ROWS, pad=0, prompt_weight=0.0)["first"] == 2


def by_hand(model, prompt_weight, smoothing=0.0):
    """Row by row without padding, position by position."""
    import torch

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
    batch = collate(ROWS, pad=0, prompt_weight=prompt_weight)
    loss = weighted_loss(model, batch, smoothing).item()
    assert loss == pytest.approx(by_hand(model, prompt_weight, smoothing), rel=1e-5)


def test_a_model_that_computes_all_logits_gives_the_same_loss(model):
    class Plain:
        def forward(self, input_ids, use_cache):
            return model(input_ids=input_ids, use_cache=use_cache)

        __call__ = forward

    batch = collate(ROWS, pad=0, prompt_weight=0.0)
    assert weighted_loss(Plain(), batch).item() == pytest.approx(weighted_loss(model, batch).item(), rel=1e-5)
