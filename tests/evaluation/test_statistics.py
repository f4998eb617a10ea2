"""Intervals against scipy and by enumeration and simulation, degenerate comparisons, the verdict."""

import math

import numpy as np
import pytest
from scipy import stats

from distill_dagster.errors import DataError
from distill_dagster.evaluation.statistics import (
    Estimate,
    compare,
    decide,
    item_scores,
    items_to_decide,
    join_scores,
    mcnemar,
    mean_interval,
    resampled_means,
)


def scores(values) -> dict[str, float]:
    return {f"q{i}": float(v) for i, v in enumerate(values)}


def three(n: int, seed: int = 0):
    """Correlated 0/1 scores of teacher, student and baseline."""
    rng = np.random.default_rng(seed)
    teacher = rng.random(n) < 0.85
    student = np.where(rng.random(n) < 0.9, teacher, rng.random(n) < 0.5)
    baseline = rng.random(n) < 0.3
    return teacher.astype(float), student.astype(float), baseline.astype(float)


def test_a_conversation_is_one_item_and_rows_without_scored_turns_are_left_out():
    rows = [
        {"row_id": "c", "turn": 0, "score": 1.0},
        {"row_id": "c", "turn": 1, "score": 0.5},
        {"row_id": "c", "turn": 2, "score": None},
        {"row_id": "x", "turn": 0, "score": None},
    ]
    assert item_scores(rows) == {"c": 0.75}


def test_join_says_which_items_differ():
    with pytest.raises(DataError, match=r"2 only in teacher \('a', 'b'\), 1 only in student \('z'\)"):
        join_scores({"teacher": {"a": 1, "b": 1, "c": 0}, "student": {"c": 0, "z": 1}})
    with pytest.raises(DataError, match="no scored items"):
        join_scores({"teacher": {}, "student": {}})


def test_join_is_by_row_id_and_not_by_position():
    assert join_scores({"teacher": {"a": 1, "b": 0}, "student": {"b": 0.25, "a": 0.75}}).tolist() == [
        [1, 0.75],
        [0, 0.25],
    ]


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


def test_paired_bootstrap_of_many_items_agrees_with_scipy():
    t, s, b = three(1000)
    ours = compare(scores(t), scores(s), scores(b), resamples=10_000, seed=0)

    def ratio(s, t, axis):
        return s.mean(axis) / t.mean(axis)

    def gap(s, t, b, axis):
        return (s.mean(axis) - b.mean(axis)) / (t.mean(axis) - b.mean(axis))

    options = {"paired": True, "vectorized": True, "method": "percentile", "n_resamples": 10_000, "batch": 1000}
    expected = stats.bootstrap((s, t), ratio, **options, rng=1).confidence_interval
    assert (ours.retention.low, ours.retention.high) == pytest.approx((expected.low, expected.high), abs=0.004)
    expected = stats.bootstrap((s, t, b), gap, **options, rng=1).confidence_interval
    assert (ours.gap_recovered.low, ours.gap_recovered.high) == pytest.approx((expected.low, expected.high), abs=0.006)
    assert ours.retention.value == pytest.approx(s.mean() / t.mean())
    assert ours.gap_recovered.value == pytest.approx((s.mean() - b.mean()) / (t.mean() - b.mean()))


def test_the_bootstrap_is_paired():
    """Two that nearly always agree give a far narrower interval than two independent ones of equal means."""
    t = np.array([1.0] * 160 + [0.0] * 40)
    s = t.copy()
    s[:4] = 0
    together = compare(scores(t), scores(s), scores(0 * t), resamples=2000, seed=0).retention
    shuffled = compare(
        scores(t), scores(np.random.default_rng(0).permutation(s)), scores(0 * t), resamples=2000, seed=0
    ).retention
    assert together.value == pytest.approx(shuffled.value)
    assert (together.high - together.low) < 0.4 * (shuffled.high - shuffled.low)


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


def test_retention_interval_covers_the_truth_about_95_percent_of_the_time():
    rng = np.random.default_rng(3)
    runs, n, covered = 300, 150, 0
    for run in range(runs):
        teacher = rng.random(n) < 0.8
        student = np.where(teacher, rng.random(n) < 0.9, rng.random(n) < 0.2)  # E[S] = 0.8*0.9 + 0.2*0.2 = 0.76
        e = compare(scores(teacher), scores(student), scores(np.zeros(n)), resamples=1000, seed=run).retention
        covered += e.low <= 0.76 / 0.8 <= e.high
    assert 0.91 <= covered / runs <= 0.985  # 4 standard errors of a share of 0.95 in 300 are 0.05


def test_teacher_that_scores_nothing_leaves_retention_undefined():
    result = compare(scores([0, 0, 0]), scores([1, 0, 0]), scores([0, 0, 0]), resamples=200, seed=0)
    assert (result.retention.value, result.retention.low, result.retention.undefined) == (None, None, 200)
    verdict = decide(result.retention, 0.9)
    assert verdict.outcome == "INCONCLUSIVE"
    assert "teacher scored 0" in verdict.reason
    assert verdict.items_needed is None


def test_teacher_no_better_than_the_baseline_leaves_no_gap():
    t = [1, 0, 1, 0]
    result = compare(scores(t), scores([1, 1, 1, 0]), scores(t), resamples=200, seed=0)
    assert result.gap_recovered.value is None
    assert "no gap to recover" in result.gap_recovered.reason
    assert result.retention.value == 1.5


def test_resamples_without_a_ratio_count_against_both_ends():
    t, b = [1.0] + [0.0] * 9, [0.0] + [0.5] + [0.0] * 8  # no gap where q2 weighs over twice what q1 does: 1 in 3
    result = compare(scores(t), scores(t), scores(b), resamples=5000, seed=0).gap_recovered
    assert result.value == 1
    assert result.undefined / 5000 == pytest.approx(1 / 3, abs=0.03)
    assert (result.low, result.high) == (None, None)
    assert decide(result, 0.5).outcome == "INCONCLUSIVE"
    assert "have no ratio" in decide(result, 0.5).reason


def test_few_undefined_resamples_widen_the_interval_and_leave_it_ends():
    t, b = [1.0] * 5 + [0.0] * 5, [0.0] * 5 + [1.0] + [0.0] * 4  # no gap where one weighs more than five: 1 / 2^5
    result = compare(scores(t), scores(t), scores(b), resamples=20_000, seed=0).gap_recovered
    assert result.undefined / 20_000 == pytest.approx(1 / 32, abs=0.005)
    assert result.low is None
    t[9] = 1.0
    result = compare(scores(t), scores(t), scores(b), resamples=20_000, seed=0).gap_recovered
    assert result.undefined / 20_000 == pytest.approx(1 / 64, abs=0.004)
    assert result.low is not None
    assert result.high is not None


@pytest.mark.parametrize(("items", "outcome"), [(5, "INCONCLUSIVE"), (44, "INCONCLUSIVE"), (45, "PASS"), (400, "PASS")])
def test_agreement_on_a_handful_of_items_proves_nothing(items, outcome):
    t = scores([1] * items)
    compared = compare(t, t, scores([0] * items), resamples=10_000, seed=0)
    kept = 0.025 ** (1 / items)  # 1 - q
    assert compared.retention.low == pytest.approx(kept, abs=1e-3)
    assert compared.retention.high == pytest.approx(1 / kept, rel=1e-3)
    assert decide(compared.retention, 0.92).outcome == outcome
    gap = (
        compared.gap_recovered.low,
        compared.gap_recovered.high,
    )  # the baseline may be right where the student is not
    assert gap == pytest.approx((1 - (1 - kept) / kept, 1 / kept), abs=3e-3)


def test_gains_do_not_show_that_there_are_no_losses():
    retention = compare(*map(scores, ([1] * 4 + [0], [1] * 5, [0] * 5)), resamples=10_000, seed=0).retention
    assert retention.value == 1.25
    assert retention.low < 1.25 * (1 - 0.025 ** (1 / 5)) < 1
    assert decide(retention, 0.92).outcome == "INCONCLUSIVE"


def test_losses_do_not_show_that_there_are_no_gains():
    retention = compare(*map(scores, ([1] * 5, [1] + [0] * 4, [0] * 5)), resamples=10_000, seed=0).retention
    assert retention.value == pytest.approx(0.2)
    assert decide(retention, 0.92).outcome == "INCONCLUSIVE"  # a plain bootstrap's interval ends at 0.6


def test_a_tiny_loss_changes_the_interval_no_more_than_its_size():
    t = scores([1] * 12)
    ends = []
    for loss in (0, 0.01):
        retention = compare(t, scores([1] * 11 + [1 - loss]), scores([0] * 12), resamples=10_000, seed=0).retention
        ends.append((retention.low, retention.high))
    assert ends[0][0] == pytest.approx(0.025 ** (1 / 12), abs=1e-3)
    assert ends[1] == pytest.approx(ends[0], abs=0.01)


@pytest.mark.parametrize(("right", "items"), [(7, 8), (18, 20), (140, 150)])
def test_a_student_that_only_loses_has_the_exact_low_end(right, items):
    s = scores([1] * right + [0] * (items - right))
    retention = compare(scores([1] * items), s, scores([0] * items), resamples=20_000, seed=0).retention
    exact = stats.binomtest(right, items).proportion_ci(0.95, method="exact")
    assert retention.low == pytest.approx(exact.low, abs=0.008)


def few_scores(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Up to 8 items whose student is any, equal, hardly worse, far better, or perfect while the teacher is poor."""
    n, kind = rng.integers(1, 9), rng.integers(0, 5)
    t = rng.choice([rng.random(n), (rng.random(n) < 0.6).astype(float), np.ones(n), 0.02 * rng.random(n)])
    s = [rng.random(n), t, t - 0.01, t + rng.random(n), (rng.random(n) < 0.9).astype(float)][kind]
    return t, np.clip(s, 0, 1)


def test_few_items_pass_only_where_the_student_is_right_on_five_that_the_teacher_got_wrong():
    """Without losses P(S < r T) is the product of r / (r + s_i - r t_i): with g gains 0.479^g 0.92^(n-g) or more."""
    rng, passed = np.random.default_rng(11), 0
    for _ in range(1500):
        t, s = few_scores(rng)
        retention = compare(scores(t), scores(s), scores(0 * t), resamples=1000, seed=0).retention
        if decide(retention, 0.92).outcome == "PASS":
            passed += 1
            assert len(t) > 5
            assert (s > t).sum() >= 5
    assert passed


def kinds(n: int):
    """Every way in which n items are right for both, only the teacher, only the student, or none."""
    for both in range(n + 1):
        for lost in range(n + 1 - both):
            for gained in range(n + 1 - both - lost):
                yield both, lost, gained, n - both - lost - gained


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


def estimate(value, low, high, items=100) -> Estimate:
    return Estimate(value, low, high, items, 1000, 0)


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
    assert items_to_decide(estimate(0.94, 0.90, 0.98), 0.92) == 400  # the end must come twice as near
    assert items_to_decide(estimate(0.90, 0.80, 0.96), 0.92) == 900
    assert items_to_decide(estimate(0.92, 0.90, 0.94), 0.92) is None


def test_items_to_decide_do_decide():
    t, s, b = three(150, seed=5)
    first = compare(scores(t), scores(s), scores(b), resamples=4000, seed=0).retention
    target = first.value - 0.5 * (first.value - first.low)
    needed = decide(first, target).items_needed
    assert needed == pytest.approx(600, abs=2)
    again = [np.tile(x, math.ceil(needed * 1.1 / 150)) for x in (t, s, b)]  # the same shares, more items
    assert decide(compare(*map(scores, again), resamples=4000, seed=0).retention, target).outcome == "PASS"


def test_mcnemar_is_the_exact_binomial_test():
    t = scores([1] * 80 + [1] * 10 + [0] * 2 + [0] * 8)
    s = scores([1] * 80 + [0] * 10 + [1] * 2 + [0] * 8)
    result = mcnemar(t, s)
    assert (result.only_teacher, result.only_student) == (10, 2)
    assert result.p_value == pytest.approx(2 * sum(math.comb(12, k) for k in range(3)) / 2**12)
    assert mcnemar(t, t).p_value == 1
    assert mcnemar({"a": 0.5}, {"a": 1.0}) is None
