"""Paired differences, Holm's p-values, and a task that fell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distill_dagster.errors import DataError
from distill_dagster.evaluation.differences import difference, differences_by_task, holm
from distill_dagster.evaluation.score_intervals import difference_ends
from tests.evaluation.builders import scores

HOW = {"resamples": 2000, "seed": 0}


def test_holm_on_four_tests():
    """Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1, and never decreasing."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.9]) == [1, 1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_p_value_and_bonferronis(p_values):
    adjusted = holm(p_values)
    assert all(p <= a <= min(1, p * len(p_values)) + 1e-12 for p, a in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert list(np.array(adjusted)[order]) == sorted(adjusted)


def test_a_difference_of_0_and_1_scores_is_tangos_with_mcnemars_p():
    first, second = [1] * 90 + [0] * 10, [1] * 85 + [0] * 5 + [1] * 8 + [0] * 2
    found = difference(scores(first), scores(second), **HOW)
    assert (found.low, found.high) == tuple(float(end) for end in difference_ends(85, 8, 5, 2))
    assert (found.value, found.items, found.groups) == (pytest.approx(-0.03), 100, None)
    assert found.p_value == pytest.approx(stats.binomtest(5, 13).pvalue)


def test_a_difference_of_fractions_agrees_with_the_t_test():
    rng = np.random.default_rng(0)
    second = rng.beta(4, 4, 600)
    first = np.clip(second + rng.normal(0.012, 0.1, 600), 0, 1)
    found, theirs = difference(scores(first), scores(second), **HOW), stats.ttest_rel(first, second)
    ends = theirs.confidence_interval()
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=0.005)
    assert found.p_value == pytest.approx(theirs.pvalue, abs=0.12)
    mirrored = difference(scores(second), scores(first), **HOW)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))
    assert mirrored.p_value == found.p_value


def test_the_p_value_and_the_interval_agree_about_0():
    rng = np.random.default_rng(3)
    for shift in np.linspace(-0.1, 0.1, 21):
        second = rng.random(60) * 0.8 + 0.1
        found = difference(scores(np.clip(second + shift + rng.normal(0, 0.2, 60), 0, 1)), scores(second), **HOW)
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


def test_groups_widen_a_difference():
    first, second = [1] * 60 + [0] * 40, [1] * 40 + [0] * 60
    alone = difference(scores(first), scores(second), **HOW)
    grouped = difference(scores(first), scores(second), **HOW, groups={f"q{i}": f"g{i // 20}" for i in range(100)})
    assert alone.p_value < 0.001
    assert alone.low > 0
    assert grouped.groups == 5
    assert grouped.low < 0  # one group of five shows the whole difference
    assert grouped.p_value > 0.05


@pytest.mark.parametrize("items", [1, 30])
def test_equal_models_differ_by_nothing(items):
    found = difference(scores([1] * items), scores([1] * items), **HOW)
    assert (found.value, found.p_value) == (0, 1)
    assert found.low < 0 < found.high
    halves = difference(scores([0.5] * items), scores([0.5] * items), **HOW)
    assert (halves.value, halves.p_value) == (0, 1)
    assert halves.low < 0 < halves.high


def test_each_task_has_its_own_difference_and_holm_counts_the_tasks():
    second = {f"{task}{i}": 1.0 for task in ("qa", "nli", "math") for i in range(120)}
    first = {**second, **{f"qa{i}": 0.0 for i in range(9)}, "nli0": 0.0}
    tasks = {row_id: row_id.rstrip("0123456789") for row_id in second}
    found = {of.task: of for of in differences_by_task(first, second, tasks, **HOW)}
    assert list(found) == ["qa", "nli", "math"]
    assert found["qa"].adjusted == pytest.approx(3 * 2 / 2**9)
    assert [of.fell for of in found.values()] == [True, False, False]
    assert (found["qa"].first, found["qa"].second) == (pytest.approx(111 / 120), 1)
    gained = {of.task: of for of in differences_by_task(second, first, tasks, **HOW)}
    assert not gained["qa"].fell


def test_different_items_are_refused():
    with pytest.raises(DataError, match="1 only in first"):
        difference({"a": 1.0, "b": 0.0}, {"b": 0.0}, **HOW)
