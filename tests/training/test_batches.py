"""Every row once an epoch, like lengths together, in an order that a resumed run can make again; then steps."""

import pytest
from datasets import Dataset

from distill_dagster.config import TrainingConfig
from distill_dagster.training.batches import WEIGHTLESS, LengthBatches, RankRows, StepPlan


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


@pytest.mark.parametrize(
    ("rows", "changes", "plan"),
    [
        (64, {"epochs": 4, "batch_size": 8, "evaluations": 6}, StepPlan(32, 8, 6, 1)),
        (61, {"epochs": 5.5, "batch_size": 8, "gradient_accumulation": 3, "evaluations": 6}, StepPlan(17, 3, 3, 1)),
        (3, {"epochs": 0.1, "batch_size": 8, "evaluations": 8}, StepPlan(1, 1, 1, 1)),
        (4_000, {"epochs": 2, "batch_size": 10, "evaluations": 8}, StepPlan(800, 400, 100, 8)),
    ],
)
def test_a_plan_counts_incomplete_batches_and_steps_as_whole_ones(rows, changes, plan):
    config = TrainingConfig(**changes)
    assert StepPlan.of(config, len(LengthBatches([1] * rows, config.batch_size, seed=0))) == plan


def test_rows_on_either_side_of_a_switch_share_no_batch():
    own = lengths(1003)
    batches = LengthBatches(own, 16, seed=0, switch=40)
    made = list(batches)
    assert sorted(i for batch in made for i in batch) == list(range(1003))
    assert len(made) == len(batches)
    assert all(len({own[i] > 40 for i in batch}) == 1 for batch in made)
    assert {len(batch) for batch in made} <= {16, *(sum((n > 40) == side for n in own) % 16 for side in (0, 1))}
    unbroken = LengthBatches(own, 16, seed=0)
    assert list(LengthBatches(own, 16, seed=0, switch=101)) == list(unbroken)  # no row is longer


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_ranks_share_every_batch_and_none_is_without_a_row(ranks):
    own = lengths(1003)  # the last batches, one on each side of the switch, have 1 and 5 rows
    whole = list(LengthBatches(own, 6, seed=0, switch=40))
    shares = [list(LengthBatches(own, 6, seed=0, switch=40, share=(rank, ranks))) for rank in range(ranks)]
    assert {len(share) for share in shares} == {len(whole)}
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(i for part in parts for i in part if i >= 0) == sorted(batch)
        idle = [part for part in parts if part[0] < 0]
        assert len(idle) == max(0, ranks - len(batch))
        assert all(part == [~batch[0]] for part in idle)


def test_a_row_that_stands_for_none_is_marked():
    rows = Dataset.from_dict({"length": [3, 5, 8]})
    assert len(RankRows(rows)) == 3
    assert RankRows(rows).__getitems__([2, 0]) == [{"length": 8}, {"length": 3}]
    assert RankRows(rows).__getitems__([~1]) == [{"length": 5, WEIGHTLESS: True}]
