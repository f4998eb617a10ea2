"""Retention and gap recovered against scipy, by simulation, and with degenerate scores; McNemar's test."""

import math

import numpy as np
import pytest
from scipy import stats

from distill_dagster.errors import DataError
from distill_dagster.evaluation.comparison import compare, mcnemar
from distill_dagster.evaluation.items import item_scores, join_scores
from distill_dagster.evaluation.score_intervals import difference_ends, mean_ends
from distill_dagster.evaluation.verdict import decide
from tests.evaluation.builders import scores, three


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


@pytest.mark.slow
def test_retention_interval_covers_the_truth_about_95_percent_of_the_time():
    rng = np.random.default_rng(3)
    runs, n, covered = 300, 150, 0
    for run in range(runs):
        teacher = rng.random(n) < 0.8
        student = np.where(teacher, rng.random(n) < 0.9, rng.random(n) < 0.2)  # E[S] = 0.8*0.9 + 0.2*0.2 = 0.76
        e = compare(scores(teacher), scores(student), scores(np.zeros(n)), resamples=100, seed=run).retention
        covered += e.low <= 0.76 / 0.8 <= e.high
    assert 0.91 <= covered / runs <= 0.985  # 4 standard errors of a share of 0.95 in 300 are 0.05


def test_teacher_that_scores_nothing_leaves_retention_undefined():
    result = compare(scores([0, 0, 0]), scores([1, 0, 0]), scores([0, 0, 0]), resamples=200, seed=0)
    assert result.to_teacher.value == pytest.approx(1 / 3)
    assert (result.retention.value, result.retention.low, result.retention.undefined) == (None, None, 200)
    verdict = decide(result.retention, 0.9)
    assert verdict.outcome == "INCONCLUSIVE"
    assert "teacher scored 0" in verdict.reason
    assert verdict.items_needed is None


def test_teacher_no_better_than_the_baseline_leaves_no_gap():
    t = [1, 0, 1, 0]
    result = compare(scores(t), scores([1, 1, 1, 0]), scores(t), resamples=200, seed=0)
    assert result.gap_recovered.value is None
    assert "no gap can be recovered" in result.gap_recovered.reason
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


def test_a_tiny_loss_changes_the_interval_no_more_than_its_size():
    t, b = scores([1] * 11 + [0.99]), scores([0] * 12)
    ends = []
    for loss in (0, 0.01):
        retention = compare(t, scores([1] * 10 + [1 - loss, 0.99]), b, resamples=10_000, seed=0).retention
        ends.append((retention.low, retention.high))
    assert ends[0][0] == pytest.approx(1 - stats.beta(0.5, 12).ppf(0.975), abs=2e-3)
    assert ends[1] == pytest.approx(ends[0], abs=0.01)


@pytest.mark.parametrize(("right", "items"), [(7, 8), (18, 20), (140, 150)])
def test_a_student_that_only_loses_has_the_low_end_of_a_share(right, items):
    """With a teacher that is always right, the retention is the student's mean."""
    s = scores([1] * right + [0] * (items - right))
    retention = compare(scores([1] * items), s, scores([0] * items), resamples=100, seed=0).retention
    exact = stats.binomtest(right, items).proportion_ci(0.95, method="exact")
    mean = tuple(float(end) for end in mean_ends(right, items))
    assert (retention.low, retention.resamples) == (pytest.approx(mean[0], abs=1e-6), 0)
    assert exact.low <= retention.low <= right / items


def test_groups_stay_together_in_every_interval():
    """Each item ten times in a group of its own: the ends are those of the items once."""
    t, s, b = (values[:40] for values in three(40, seed=2))
    t, s = t * 0.9, s * 0.8  # fractions, so that both come from resamples
    once = compare(scores(t), scores(s), scores(b), resamples=500, seed=0)
    again = [{f"{i:02}-{k}": float(v) for i, v in enumerate(values) for k in range(10)} for values in (t, s, b)]
    groups = {row_id: row_id[:2] for row_id in again[0]}
    grouped = compare(*again, resamples=500, seed=0, groups=groups)
    for name in ("retention", "gap_recovered", "to_teacher", "to_baseline"):
        one, other = getattr(once, name), getattr(grouped, name)
        assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=0.02)
        assert (other.items, other.groups) == (400, 40)
        assert one.groups is None


def test_a_comparison_states_both_differences():
    t, s, b = three(200)
    found = compare(scores(t), scores(s), scores(b), resamples=500, seed=0)
    assert found.to_teacher.value == pytest.approx(s.mean() - t.mean())
    assert found.to_baseline.value == pytest.approx(s.mean() - b.mean())
    counts = [int(((t == x) & (s == y)).sum()) for x, y in ((1, 1), (1, 0), (0, 1), (0, 0))]
    assert (found.to_teacher.low, found.to_teacher.high) == tuple(float(end) for end in difference_ends(*counts))


def test_mcnemar_is_the_exact_binomial_test():
    t = scores([1] * 80 + [1] * 10 + [0] * 2 + [0] * 8)
    s = scores([1] * 80 + [0] * 10 + [1] * 2 + [0] * 8)
    result = mcnemar(t, s)
    assert (result.only_teacher, result.only_student) == (10, 2)
    assert result.p_value == pytest.approx(2 * sum(math.comb(12, k) for k in range(3)) / 2**12)
    assert mcnemar(t, t).p_value == 1
    assert mcnemar({"a": 0.5}, {"a": 1.0}) is None
    grouped = mcnemar(t, s, {row_id: "g" for row_id in t})
    assert (grouped.only_teacher, grouped.only_student, grouped.p_value) == (10, 2, None)
