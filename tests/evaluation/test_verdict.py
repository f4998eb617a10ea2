"""The verdict: on few items, by enumeration and simulation, and the number of items that would decide."""

import math

import numpy as np
import pytest
from scipy import stats

from distill_dagster.evaluation.comparison import RatioEstimate, compare
from distill_dagster.evaluation.differences import paired_counts
from distill_dagster.evaluation.score_intervals import ratio_ends
from distill_dagster.evaluation.verdict import decide, items_to_decide
from tests.evaluation.builders import scores, three


@pytest.mark.parametrize(("items", "outcome"), [(5, "INCONCLUSIVE"), (40, "INCONCLUSIVE"), (41, "PASS"), (400, "PASS")])
def test_agreement_on_a_handful_of_items_proves_nothing(items, outcome):
    t = scores([1] * items)
    compared = compare(t, t, scores([0] * items), resamples=10_000, seed=0)
    exact = 0.025 ** (1 / items)  # Clopper and Pearson's low end
    assert exact < compared.retention.low < 1
    assert compared.retention.low == pytest.approx(exact, abs=0.04)
    assert decide(compared.retention, 0.92).outcome == outcome
    lost = stats.beta(0.5, items).ppf(
        0.975
    )  # of the unseen half item; the baseline may be right where the student is not
    gap = (compared.gap_recovered.low, compared.gap_recovered.high)
    assert gap == pytest.approx((1 - lost / (1 - lost), 1 / (1 - lost)), abs=3e-3)


def test_gains_do_not_show_that_there_are_no_losses():
    retention = compare(*map(scores, ([1] * 4 + [0], [1] * 5, [0] * 5)), resamples=10_000, seed=0).retention
    assert retention.value == 1.25
    assert retention.low < 1
    assert decide(retention, 0.92).outcome == "INCONCLUSIVE"


def test_losses_do_not_show_that_there_are_no_gains():
    retention = compare(*map(scores, ([1] * 5, [1] + [0] * 4, [0] * 5)), resamples=10_000, seed=0).retention
    assert retention.value == pytest.approx(0.2)
    assert decide(retention, 0.92).outcome == "INCONCLUSIVE"  # a plain bootstrap's interval ends at 0.6


def few_scores(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Up to 8 items whose student is any, equal, hardly worse, far better, or perfect while the teacher is poor."""
    n, kind = rng.integers(1, 9), rng.integers(0, 5)
    t = rng.choice([rng.random(n), (rng.random(n) < 0.6).astype(float), np.ones(n), 0.02 * rng.random(n)])
    s = [rng.random(n), t, t - 0.01, t + rng.random(n), (rng.random(n) < 0.9).astype(float)][kind]
    return t, np.clip(s, 0, 1)


@pytest.mark.slow
def test_few_items_pass_only_where_the_student_scores_far_more():
    """Up to 8 items without gains never pass: the unseen half item allows for a loss on one item in four."""
    rng, passed = np.random.default_rng(11), 0
    for _ in range(1000):
        t, s = few_scores(rng)
        retention = compare(scores(t), scores(s), scores(0 * t), resamples=500, seed=0).retention
        if decide(retention, 0.92).outcome == "PASS":
            passed += 1
            assert (s > t).sum() >= 4
            assert retention.value > 1.2
    assert passed


def kinds(n: int):
    """Every way in which n items are right for both, only the teacher, only the student, or none."""
    for both in range(n + 1):
        for lost in range(n + 1 - both):
            for gained in range(n + 1 - both - lost):
                yield both, lost, gained, n - both - lost - gained


@pytest.mark.slow
@pytest.mark.parametrize("items", [6, 8, 10])
def test_a_student_just_below_the_target_passes_at_most_once_in_forty(items):
    """Exactly, over all outcomes of a few 0/1 items, for populations whose retention is 0.9199."""
    passing = [
        found
        for found in kinds(items)
        if decide(
            compare(
                *(scores(np.repeat(right, found)) for right in ([1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0])),
                resamples=1000,
                seed=0,
            ).retention,
            0.92,
        ).outcome
        == "PASS"
    ]
    for teacher in np.linspace(0.1, 1, 10):
        for lost in np.linspace(0, teacher, 21):
            gained = lost - 0.0801 * teacher
            if 0 <= gained <= 1 - teacher:
                shares = [teacher - lost, lost, gained, 1 - teacher - gained]
                assert stats.multinomial.pmf(passing, items, shares).sum() <= 0.025


def estimate(value, low, high, items=100) -> RatioEstimate:
    return RatioEstimate(value=value, low=low, high=high, items=items, resamples=1000, undefined=0)


@pytest.mark.parametrize(
    ("low", "value", "high", "outcome"),
    [
        (0.92, 0.95, 0.98, "PASS"),
        (0.85, 0.88, 0.919, "FAIL"),
        (0.9, 0.95, 1.0, "INCONCLUSIVE"),
        (0.85, 0.9, 0.92, "INCONCLUSIVE"),
    ],
)
def test_the_verdict_goes_by_the_interval(low, value, high, outcome):
    assert decide(estimate(value, low, high), 0.92).outcome == outcome


def test_items_to_decide_follow_the_square_root_law():
    power = ((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) / stats.norm.ppf(0.975)) ** 2
    assert items_to_decide(estimate(0.94, 0.90, 0.98), 0.92) == math.ceil(400 * power)  # the end: twice as near
    assert items_to_decide(estimate(0.90, 0.80, 0.96), 0.92) == math.ceil(900 * power)
    assert items_to_decide(estimate(0.92, 0.90, 0.94), 0.92) is None


def test_items_to_decide_decide_four_times_in_five():
    """As many new items, drawn where the estimate is the truth; the corrections for few items make it a little more."""
    t, s, b = three(300, seed=5)
    first = compare(scores(t), scores(s), scores(b), resamples=100, seed=0).retention
    target = first.value - 0.5 * (first.value - first.low)
    needed = decide(first, target).items_needed
    rng, pairs = np.random.default_rng(1), np.stack([t, s], axis=1)
    passes = 0
    for _ in range(400):
        drawn = pairs[rng.integers(0, len(pairs), needed)]
        low, _ = ratio_ends(*paired_counts(drawn[:, 0], drawn[:, 1]))
        passes += low >= target
    assert 0.74 <= passes / 400 <= 0.92
