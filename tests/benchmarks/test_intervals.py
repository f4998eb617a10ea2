"""The simulation of intervals: it resamples as the package does, and finds what is wrong with a method."""

import numpy as np
import pytest

from benchmarks._interval_cells import ICC, grouped_counts, pair, populations
from benchmarks.intervals import WHAT, Cell, bootstrap_ends, cells, design_effect, summary
from distill_dagster.evaluation.comparison import compare
from distill_dagster.evaluation.statistics import UNSEEN

pytestmark = pytest.mark.slow


def test_the_bootstrap_of_many_samples_is_the_packages():
    rng = np.random.default_rng(0)
    counts = grouped_counts(rng, pair(0.8, 0.92, 0.5), 20, 1, "dirichlet")
    teacher, student = counts[..., 0] + counts[..., 1], counts[..., 0] + counts[..., 2]
    kinds = np.concatenate([np.repeat(np.arange(4), group.astype(int)) for group in counts[0]])
    scores = [{f"q{i}": float(kind in right) for i, kind in enumerate(kinds)} for right in ((0, 1), (0, 2), ())]
    groups = {f"q{i}": f"{i // 10}" for i in range(200)}
    theirs = compare(*scores, resamples=4000, seed=0, groups=groups)
    for what, estimate in (("retention", theirs.retention), ("difference", theirs.to_teacher)):
        low, high = bootstrap_ends(what, teacher / 10, student / 10, 4000, UNSEEN)
        assert (low[0], high[0]) == pytest.approx((estimate.low, estimate.high), abs=0.02)


@pytest.mark.parametrize("kind", ["dirichlet", "copies"])
def test_items_of_a_group_correlate_as_stated(kind):
    population = pair(0.8, 0.92, 0.5)
    right = grouped_counts(np.random.default_rng(0), population, 50, 400, kind)[..., :2].sum(axis=2)
    between = right.var() / (10 * 0.8 * 0.2)  # 1 + 9 times the correlation
    assert (between - 1) / 9 == pytest.approx(ICC, abs=0.02)
    assert right.mean() == pytest.approx(8, abs=0.05)


@pytest.mark.parametrize("what", WHAT)
def test_the_design_effect_is_1_for_independent_items_and_the_size_of_groups_that_are_all_alike(what):
    rng, shares = np.random.default_rng(0), pair(0.8, 0.92, 0.5).shares
    independent, alike = rng.multinomial(10, shares, (50, 2000)), 10 * rng.multinomial(1, shares, (50, 2000))
    assert np.median(design_effect(what, independent.astype(float))) == pytest.approx(1, abs=0.05)
    assert np.median(design_effect(what, alike.astype(float))) == pytest.approx(10, rel=0.05)


def test_populations_have_the_values_that_they_state():
    for population in populations("retention"):
        both, teacher, student, _ = population.shares
        assert (both + student) / (both + teacher) == pytest.approx(population.retention)
        assert student - teacher == pytest.approx(population.true("difference"), abs=1e-9)


def test_a_cell_names_the_limits_that_it_breaks():
    good = Cell("mean", "0/1", "score", 50, "x", 0.95, 0.02, 0.03, 1.05)
    assert good.bad == []
    assert Cell("retention", "0/1", "score", 50, "x", 0.92, 0.032, 0.05, 1.2).bad == [
        *("coverage", "miss", "false PASS", "width")
    ]


def test_a_quick_run_finds_what_holds_and_what_does_not():
    found = list(cells(40, (50,), 100))
    assert summary(found)["cells"] > 300
    plain, ours = ([c for c in found if c.method == method] for method in ("plain score", "score"))
    assert len(plain) == len(ours)
    assert min(c.coverage for c in ours) > 0.85
