"""Score intervals against scipy, published examples, and a likelihood that is maximized in another way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from distill_dagster.evaluation import score_intervals
from distill_dagster.evaluation.score_intervals import difference_ends, mean_ends, ratio_ends

TABLES = [(7, 12, 1, 1), (80, 7, 3, 10), (43, 0, 1, 0), (20, 5, 5, 20), (0, 9, 4, 7), (300, 2, 9, 40), (12, 30, 1, 8)]
COUNT = st.integers(0, 60)
TABLE = st.tuples(COUNT, COUNT, COUNT, COUNT).filter(any)


@pytest.mark.parametrize(("right", "items"), [(37, 50), (0, 20), (20, 20), (1, 1), (0, 1), (985, 1000)])
def test_a_plain_mean_is_wilsons(right, items):
    theirs = stats.binomtest(right, items).proportion_ci(0.95, method="wilson")
    assert mean_ends(right, items, plain=True) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(
    ("right", "items", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_as_newcombe_published_it(right, items, low, high):
    """Newcombe, Two-sided confidence intervals for the single proportion, Statist. Med. 17, 1998, table I, method 3."""
    assert mean_ends(right, items, plain=True) == pytest.approx((low, high), abs=5e-5)


def test_tangos_interval_as_published(monkeypatch):
    """Fagerland, Lydersen and Laake, Statist. Med. 33, 2014, on 21 children of Bentur and others (2009)."""
    assert difference_ends(1, 7, 1, 12, plain=True) == pytest.approx((-0.517, -0.026), abs=5e-4)
    monkeypatch.setattr(score_intervals, "Z", stats.norm.ppf(0.95))  # Tango 1998, contact lenses, 90 %
    assert difference_ends(43, 1, 0, 0, plain=True) == pytest.approx((-0.096, 0.037), abs=5e-4)


def test_nam_and_blackwelders_interval_as_published():
    """The same children, a before to after ratio of 2 / 8; Tang's interval (2003) is that of the same test."""
    assert ratio_ends(1, 7, 1, 12, plain=True) == pytest.approx((0.065, 0.907), abs=5e-4)


def most_likely(table, weights):
    """The shares (both, teacher, student, neither) that are most likely if their sum with these weights is 0."""
    counts = np.array(table, dtype=float)
    found = optimize.minimize(
        lambda p: -(counts * np.log(np.maximum(p, 1e-300))).sum(),
        (counts + 1) / (counts + 1).sum(),
        jac=lambda p: -counts / np.maximum(p, 1e-12),
        bounds=[(1e-9, 1)] * 4,
        constraints=[
            {"type": "eq", "fun": lambda p: p.sum() - 1, "jac": lambda p: np.ones(4)},
            {"type": "eq", "fun": lambda p: p @ weights, "jac": lambda p: weights},
        ],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return found.x


def limit_of(table, item_scores, plain):
    """How far the sum of the items' scores is from the test's two limits, in standard deviations: near 0 at an end."""
    counts, n = np.array(table, dtype=float), sum(table)
    p = most_likely(table, item_scores)
    deviation = math.sqrt(n * (p @ item_scores**2))
    skewness = n * (p @ item_scores**3) / deviation**3
    z, total = stats.norm.ppf(0.975), counts @ item_scores
    sides = []
    for side in (1, -1):
        quarter, bend = (0, 0) if plain else (0.25 * side, skewness * (z * z - 1) / 6)
        sides.append((total - quarter) / deviation - side * z - bend)
    return sides


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("table", TABLES)
def test_an_end_is_where_the_test_of_the_constrained_likelihood_turns(table, plain):
    low, high = difference_ends(*table, plain=plain)
    for end, side in ((low, 0), (high, 1)):
        assert limit_of(table, np.array([0, -1, 1, 0]) - end, plain)[side] == pytest.approx(0, abs=0.01)
    low, high = ratio_ends(*table, plain=plain)
    for end, side in ((low, 0), (high, 1)):
        assert limit_of(table, np.array([1 - end, -end, 1, 0]), plain)[side] == pytest.approx(0, abs=0.01)


@given(TABLE)
@settings(max_examples=60, deadline=None)
def test_differences_are_bounded_hold_the_estimate_and_mirror(table):
    both, teacher, student, neither = table
    low, high = difference_ends(*table)
    estimate = (student - teacher) / sum(table)
    assert -1 <= low <= estimate <= high <= 1
    assert low < high
    mirrored = difference_ends(both, student, teacher, neither)
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)
    assert difference_ends(neither, teacher, student, both) == pytest.approx((low, high))  # only these two count


@given(TABLE)
@settings(max_examples=60, deadline=None)
def test_ratios_are_positive_hold_the_estimate_and_invert(table):
    both, teacher, student, neither = table
    low, high = ratio_ends(*table)
    assert 0 <= low <= high
    if both + teacher == 0:
        assert (low, high) == (0, math.inf)
        return
    estimate = (both + student) / (both + teacher)
    assert low <= estimate + 1e-9
    assert high >= estimate - 1e-9
    plain = ratio_ends(*table, plain=True)
    if both + student:
        swapped = ratio_ends(both, student, teacher, neither, plain=True)
        assert float(plain[0] * swapped[1]) == pytest.approx(1, rel=1e-4)
        assert float(plain[1] * swapped[0]) == pytest.approx(1, rel=1e-4)


@given(st.integers(0, 80), st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_means_are_shares_hold_the_estimate_mirror_and_narrow(right, items):
    right = min(right, items)
    low, high = mean_ends(right, items)
    assert 0 <= low <= right / items <= high <= 1
    assert mean_ends(items - right, items) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    narrower = mean_ends(4 * right, 4 * items)
    assert narrower[1] - narrower[0] < high - low


@given(TABLE)
@settings(max_examples=40, deadline=None)
def test_four_times_the_items_narrow_a_difference(table):
    wide, narrow = (difference_ends(*(times * count for count in table)) for times in (1, 4))
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


@pytest.mark.parametrize("items", [1, 5, 50])
def test_items_that_are_all_alike_leave_a_width(items):
    assert difference_ends(items, 0, 0, 0)[0] < 0 < difference_ends(items, 0, 0, 0)[1]
    assert ratio_ends(items, 0, 0, 0)[0] < 1 < ratio_ends(items, 0, 0, 0)[1]
    assert ratio_ends(0, items, 0, 0)[0] == 0
    assert ratio_ends(0, items, 0, 0)[1] > 0
    assert mean_ends(items, items)[1] == 1
    assert mean_ends(items, items)[0] < 1


@pytest.mark.parametrize("p", [0.6, 0.9, 0.95, 0.986])
@pytest.mark.parametrize("n", [50, 100, 300])
def test_a_mean_is_missed_rarely_on_either_side_and_wilsons_is_not(n, p):
    """By the binomial distribution, without a simulation."""
    right = np.arange(n + 1)
    share = stats.binom.pmf(right, n, p)
    low, high = mean_ends(right, n)
    assert max(share[low > p].sum(), share[high < p].sum()) <= 0.035
    wilson = mean_ends(right, n, plain=True)
    if (n, p) == (100, 0.986):
        assert share[wilson[1] < p].sum() > 0.05


def test_arrays_of_counts_give_the_ends_of_each():
    tables = np.array(TABLES)
    for ends in (difference_ends, ratio_ends):
        together = ends(*tables.T)
        alone = np.array([ends(*table) for table in TABLES])
        assert np.allclose(together, alone.T)
