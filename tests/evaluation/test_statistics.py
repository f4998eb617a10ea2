"""Intervals of means against scipy, by formula and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from distill_dagster.evaluation.score_intervals import mean_ends
from distill_dagster.evaluation.statistics import Sample, mean_interval


def test_scores_of_0_and_1_have_a_score_interval():
    interval = mean_interval([1] * 37 + [0] * 13, resamples=100, seed=0)
    assert interval.method == "score"
    assert (interval.low, interval.high) == tuple(float(end) for end in mean_ends(37, 50))


def test_bootstrap_interval_of_many_fractional_scores_agrees_with_scipy():
    x = np.random.default_rng(1).beta(2, 3, 1000)
    ours = mean_interval(x, resamples=10_000, seed=0)
    theirs = stats.bootstrap((x,), np.mean, method="percentile", n_resamples=10_000, batch=1000, rng=1)
    assert ours.method == "bootstrap"
    low, high = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.0015)
    assert ours.low < low
    assert ours.high > high


@pytest.mark.parametrize("values", [[0.43], [0.5] * 12, [0.5] * 200])
def test_equal_fractional_scores_have_the_width_of_what_was_not_seen(values):
    q = stats.beta(0.5, len(values)).ppf(0.975)  # half an item was not seen
    interval = mean_interval(values, resamples=10_000, seed=0)
    assert (interval.low, interval.high) == pytest.approx((values[0] * (1 - q), values[0] * (1 - q) + q), abs=1e-3)


def test_the_mean_of_few_skewed_scores_is_covered():
    """Nine in ten score 0.9, the others 0.05: of ten items none may be of these, and a plain bootstrap covers 65 %."""
    rng = np.random.default_rng(4)
    draws = np.where(rng.random((300, 10)) < 0.9, 0.9, 0.05)
    ends = [mean_interval(x, resamples=400, seed=0) for x in draws]
    assert np.mean([e.low <= 0.9 * 0.9 + 0.1 * 0.05 <= e.high for e in ends]) >= 0.95


def test_seed_decides_the_resamples_and_chunks_keep_their_shape(monkeypatch):
    sample = Sample(np.random.default_rng(0).random((50, 3)))
    assert np.array_equal(sample.resampled(500, 7), sample.resampled(500, 7))
    assert not np.array_equal(sample.resampled(500, 7), sample.resampled(500, 8))
    monkeypatch.setattr(
        "distill_dagster.evaluation.statistics.CELLS_PER_CHUNK", 1_750
    )  # 35 resamples a chunk, 500 % 35 != 0
    means = sample.resampled(500, 7)
    assert means.shape == (500, 3)
    assert means.std(axis=0) == pytest.approx(sample.scores.std(axis=0) / math.sqrt(50), rel=0.15)


def test_items_of_one_group_count_once():
    """Ten equal items in each group say as much as one item."""
    x = np.random.default_rng(2).random(30)
    alone = mean_interval(x, resamples=500, seed=0)
    grouped = mean_interval(
        np.repeat(x, 10), resamples=500, seed=0, groups=[f"{i:02}" for i in range(30) for _ in "x" * 10]
    )
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))
    one_by_one = mean_interval(np.repeat(x, 10), resamples=500, seed=0)
    assert one_by_one.high - one_by_one.low < 0.5 * (grouped.high - grouped.low)


def test_groups_of_0_and_1_scores_are_covered_and_items_alone_are_not():
    """100 items in groups of 10 whose items correlate by 0.3: the truth is held, as a score interval does not."""
    rng, groups = np.random.default_rng(5), [f"g{i // 10}" for i in range(100)]
    shares = rng.beta(0.8 * 7 / 3, 0.2 * 7 / 3, (200, 10))
    found = {"grouped": 0, "alone": 0}
    for draw in np.repeat(shares, 10, axis=1) > rng.random((200, 100)):
        for name, given in (("grouped", groups), ("alone", None)):
            ends = mean_interval(draw, resamples=400, seed=0, groups=given)
            found[name] += ends.low <= 0.8 <= ends.high
    assert found["grouped"] >= 0.93 * 200
    assert found["alone"] <= 0.85 * 200


def test_groups_of_one_item_are_no_groups():
    ones = [1.0] * 9 + [0.0]
    assert mean_interval(ones, resamples=100, seed=0, groups=list("abcdefghij")).method == "score"
    assert mean_interval(ones, resamples=100, seed=0, groups=list("abcdefghii")).method == "bootstrap"


def test_one_group_says_almost_nothing():
    interval = mean_interval([1.0] * 50, resamples=1000, seed=0, groups=["g"] * 50)
    assert interval.high == pytest.approx(1)
    assert interval.low < 0.1


def test_groups_of_unequal_size_count_by_their_items():
    sample = Sample(np.array([[1.0]] * 8 + [[0.0]] * 2), ["big"] * 8 + ["small"] * 2)
    assert sample.group_count == 2
    means = sample.resampled(20_000, 0)[:, 0]
    assert np.median(means) == pytest.approx(0.8, abs=0.02)  # equal weights give 8 of 10, not 1 of 2
