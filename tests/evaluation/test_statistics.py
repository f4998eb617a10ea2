"""Intervals of means against scipy, by formula and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from distill_dagster.evaluation.statistics import Sample, mean_interval


def test_wilson_equals_its_formula():
    k, n, z = 37, 50, stats.norm.ppf(0.975)
    centre = (k / n + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(k / n * (1 - k / n) / n + z * z / (4 * n * n))
    interval = mean_interval([1] * k + [0] * (n - k), resamples=100, seed=0)
    assert interval.method == "wilson"
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half))


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
    q = 1 - 0.025 ** (1 / len(values))
    interval = mean_interval(values, resamples=10_000, seed=0)
    assert (interval.low, interval.high) == pytest.approx((values[0] * (1 - q), values[0] * (1 - q) + q), abs=1e-4)


def test_the_mean_of_few_skewed_scores_is_covered():
    """Nine in ten score 0.9, the others 0.05: of ten items none may be of these, and a plain bootstrap covers 65 %."""
    rng = np.random.default_rng(4)
    draws = np.where(rng.random((300, 10)) < 0.9, 0.9, 0.05)
    ends = [mean_interval(x, resamples=400, seed=0) for x in draws]
    assert np.mean([e.low <= 0.9 * 0.9 + 0.1 * 0.05 <= e.high for e in ends]) >= 0.95


def test_seed_decides_the_resamples_and_chunks_keep_their_shape(monkeypatch):
    x = np.random.default_rng(0).random((50, 3))
    assert np.array_equal(resampled_means(x, 500, 7), resampled_means(x, 500, 7))
    assert not np.array_equal(resampled_means(x, 500, 7), resampled_means(x, 500, 8))
    monkeypatch.setattr(
        "distill_dagster.evaluation.statistics.CELLS_PER_CHUNK", 1_750
    )  # 35 resamples a chunk, 500 % 35 != 0
    means = resampled_means(x, 500, 7)
    assert means.shape == (500, 3)
    assert means.std(axis=0) == pytest.approx(x.std(axis=0) / math.sqrt(50), rel=0.15)
