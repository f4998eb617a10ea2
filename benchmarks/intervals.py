"""Simulates how often 95 % intervals hold the true value, and how wide they are.

    python -m benchmarks.intervals            minutes on one core; --quick takes half a minute
    what   scores   method   items   cells   coverage   mean   miss low   high   false PASS   width   typical   bad

`coverage` is that of the worst cell. `miss low` and `miss high` are the largest shares of intervals that lie above, or
below, the truth. `false PASS` is the largest share of a retention's intervals that lie above the truth, and so pass at
a target equal to it. `width` is the median width over that of a reference, in the cell where it is largest, and
`typical` the same in the median cell. The reference is the plain score interval; for groups, that of as many items as
they are worth; for fractions, Student's t interval. `bad` counts cells that break a limit: coverage 93 %, a miss 3.5 %,
a false PASS 3 %, a width of 1.1.

`score` and `unseen 0.5` are the methods of the package. The others are plain score intervals, a third of an unseen
item, a whole one (Gaffke's bound), and, for groups, score intervals of the effective sample size (`rao-scott`). A
share of 2,000 runs has a standard error of 0.4 points at 3.5 %.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from benchmarks._interval_cells import (
    FRACTIONS,
    GROUP,
    ICC,
    ITEMS,
    Population,
    fractions,
    grouped_counts,
    populations,
)
from distill_dagster.evaluation.score_intervals import (
    Ends,
    Floats,
    difference_ends,
    mean_ends,
    ratio_ends,
)
from distill_dagster.evaluation.statistics import TAIL, UNSEEN, unseen_weights

SEED = 0
WORTH = 1 + (GROUP - 1) * ICC  # this many items of a group are worth one
SHARES = (UNSEEN, 0.33, 1.0)
PRIOR_GROUPS = 2  # 1 is not enough: false PASSes of 6 %
WHAT = ("mean", "difference", "retention")
SLACK = 1e-9
LEAST_COVERAGE, MOST_MISSED, MOST_FALSE_PASS, MOST_WIDTH = 0.93, 0.035, 0.03, 1.1


@dataclass(frozen=True, slots=True)
class Cell:
    """What one method did on one population."""

    what: str
    scores: str
    method: str
    items: int
    name: str
    coverage: float
    miss_low: float
    miss_high: float
    width: float

    @property
    def false_pass(self) -> float:
        """The share of intervals that would pass at a target equal to the truth."""
        return self.miss_low if self.what == "retention" else 0.0

    @property
    def bad(self) -> list[str]:
        """The limits that the cell breaks."""
        broken = {
            "coverage": self.coverage < LEAST_COVERAGE,
            "miss": max(self.miss_low, self.miss_high) > MOST_MISSED,
            "false PASS": self.false_pass > MOST_FALSE_PASS,
            "width": self.width > MOST_WIDTH,
        }
        return [limit for limit, is_broken in broken.items() if is_broken]


def cells(runs: int, items: tuple[int, ...] = ITEMS, resamples: int = 1000) -> Iterator[Cell]:
    """Every method on every population; 0/1 scores without groups get ten times as many runs."""
    for what in WHAT:
        for n in items:
            yield from _plain_cells(what, n, 10 * runs)
        for kind in ("dirichlet", "copies"):
            for n in items:
                yield from _grouped_cells(what, n, runs, resamples, kind)
        for n in items:
            yield from _fraction_cells(what, n, min(runs, 1000), resamples)


def _plain_cells(what: str, n: int, runs: int) -> Iterator[Cell]:
    """0/1 scores of independent items: score intervals, corrected and plain."""
    rng = np.random.default_rng(SEED)
    for population in populations(what):
        drawn = rng.multinomial(n, population.shares, runs)
        counts, place = np.unique(drawn.astype(float), axis=0, return_inverse=True)
        plain, ours = (_of_each(score_ends(what, counts, plain=plain), place.ravel()) for plain in (True, False))
        reference = _width(plain)
        for method, ends in (("score", ours), ("plain score", plain)):
            yield _cell(what, "0/1", method, n, _name(population), ends, population.true(what), reference)


def _grouped_cells(what: str, n: int, runs: int, resamples: int, kind: str) -> Iterator[Cell]:
    """0/1 scores in groups: the bootstrap with three amounts of an unseen item, and a score interval."""
    rng = np.random.default_rng(SEED)
    for population in populations(what):
        counts = grouped_counts(rng, population, n // GROUP, runs, kind)
        teacher, student = counts[..., 0] + counts[..., 1], counts[..., 0] + counts[..., 2]
        reference = _width(score_ends(what, counts.sum(axis=1) / WORTH, plain=True))
        methods = {
            f"unseen {unseen}": bootstrap_ends(what, teacher / GROUP, student / GROUP, resamples, unseen)
            for unseen in SHARES
        }
        methods["rao-scott"] = score_ends(what, counts.sum(axis=1) / design_effect(what, counts)[:, None])
        for method, ends in methods.items():
            yield _cell(what, f"0/1, {kind}", method, n, _name(population), ends, population.true(what), reference)


def _fraction_cells(what: str, n: int, runs: int, resamples: int) -> Iterator[Cell]:
    """Fractions of independent items: the bootstrap with three amounts of an unseen item."""
    rng = np.random.default_rng(SEED)
    for name in FRACTIONS:
        teacher, student, mean, retention = fractions(rng, name, n, runs)
        true = {"mean": mean, "difference": mean * (retention - 1), "retention": retention}[what]
        reference = _width(t_ends(what, teacher, student))
        for unseen in SHARES:
            ends = bootstrap_ends(what, teacher, student, resamples, unseen)
            yield _cell(what, "fractions", f"unseen {unseen}", n, name, ends, true, reference)


def score_ends(what: str, counts: Floats, *, plain: bool = False) -> Ends:
    """Score intervals from counts of the four kinds of items (runs, 4)."""
    both, lost, gained, neither = np.asarray(counts, dtype=float).T
    if what == "mean":
        return mean_ends(both + lost, both + lost + gained + neither, plain=plain)
    ends = difference_ends if what == "difference" else ratio_ends
    return ends(both, lost, gained, neither, plain=plain)


def bootstrap_ends(what: str, teacher: Floats, student: Floats, resamples: int, unseen: float) -> Ends:
    """`statistics.py`'s interval for many samples of groups at once, from group means (runs, groups) of equal groups.

    All runs share the groups' weights, which is what makes it quick; the runs are independent, so that the shares of
    misses are right on average.
    """
    groups = teacher.shape[1]
    draws = np.random.default_rng(SEED + 1).standard_exponential((groups, resamples))
    draws /= draws.sum(axis=0)
    weights = unseen_weights(groups, resamples, unseen)[:, 0]
    t, s = ((1 - weights) * (scores @ draws) for scores in (teacher, student))
    if what == "mean":  # of the teacher's scores
        worst, best = t, t + weights
    elif what == "difference":
        worst, best = s - t - weights, s + weights - t
    else:
        worst, best = s / (t + weights), (s + weights) / np.maximum(t, SLACK)
    rank = int(TAIL * (resamples - 1))
    worst.partition(rank, axis=1)
    best.partition(resamples - 1 - rank, axis=1)
    return worst[:, rank], best[:, resamples - 1 - rank]


def design_effect(what: str, counts: Floats) -> Floats:
    """How many items of a group are worth one, as it seems from counts (runs, groups, 4): (runs,), at least 1.

    The variance between groups over that of independent items (Rao and Scott, Biometrics 48, 1992), averaged with
    `PRIOR_GROUPS` groups of items that are all alike. Each group counts as far as it contributes to the variance, since
    without an error nothing is known of how errors come together.
    """
    both, lost, gained, neither = np.moveaxis(counts, 2, 0)
    size, teacher, student = both + lost + gained + neither, both + lost, both + gained
    total = size.sum(axis=1, keepdims=True)
    if what == "mean":
        mean = teacher.sum(axis=1, keepdims=True) / total
        residual, alone = teacher - mean * size, teacher * (1 - mean) ** 2 + (size - teacher) * mean**2
    elif what == "difference":
        mean = (student - teacher).sum(axis=1, keepdims=True) / total
        residual = student - teacher - mean * size
        alone = gained * (1 - mean) ** 2 + lost * (1 + mean) ** 2 + (both + neither) * mean**2
    else:
        ratio = student.sum(axis=1, keepdims=True) / np.maximum(teacher.sum(axis=1, keepdims=True), 1)
        residual, alone = student - ratio * teacher, both * (1 - ratio) ** 2 + gained + lost * ratio**2
    groups, squares = counts.shape[1], residual**2
    between, alone = squares.sum(axis=1) * groups / (groups - 1), alone.sum(axis=1)
    seen = np.divide(between, alone, out=np.ones_like(alone), where=alone > SLACK)
    fourth = (squares**2).sum(axis=1)
    worth = np.divide(squares.sum(axis=1) ** 2, fourth, out=np.zeros_like(fourth), where=fourth > SLACK)
    alike = (size**2).sum(axis=1) / total[:, 0]
    return np.maximum((PRIOR_GROUPS * alike + worth * seen) / (PRIOR_GROUPS + worth), 1)


def t_ends(what: str, teacher: Floats, student: Floats) -> Ends:
    """Student's t interval of the mean; of the retention, by the delta method."""
    from scipy.stats import t as t_distribution

    ratio = student.mean(axis=1, keepdims=True) / teacher.mean(axis=1, keepdims=True)
    values = {
        "mean": lambda: (teacher, 1.0),
        "difference": lambda: (student - teacher, 1.0),
        "retention": lambda: (student - ratio * teacher, teacher.mean(axis=1)),
    }[what]()
    n = teacher.shape[1]
    half = t_distribution.ppf(1 - TAIL, n - 1) * values[0].std(axis=1, ddof=1) / np.sqrt(n) / values[1]
    return -half, half  # only the width is used


def _of_each(ends: Ends, place: npt.NDArray[np.int_]) -> Ends:
    return ends[0][place], ends[1][place]


def _width(ends: Ends) -> float:
    return float(np.median(ends[1] - ends[0]))


def _cell(what: str, scores: str, method: str, n: int, name: str, ends: Ends, true: float, reference: float) -> Cell:
    low, high = float((ends[0] > true + SLACK).mean()), float((ends[1] < true - SLACK).mean())
    return Cell(what, scores, method, n, name, 1 - low - high, low, high, _width(ends) / reference)


def _name(population: Population) -> str:
    if population.retention == 1 and population.phi == 1:
        return f"accuracy {population.teacher}"
    return f"teacher {population.teacher}, retention {population.retention}, correlation {population.phi}"


def print_table(found: list[Cell]) -> None:
    """A line for each method and number of items, then the cells in which the package's methods miss too often."""
    print(
        "what        scores           method       items cells coverage  mean  miss low  high  false PASS  width"
        "  typical  bad"
    )
    for key, group in groupby(sorted(found, key=_key), _key):
        own = list(group)
        what, scores, method, items = key
        print(
            f"{what:<11} {scores:<16} {method:<12} {items:>5} {len(own):>5}"
            f" {min(c.coverage for c in own):>8.3f} {np.mean([c.coverage for c in own]):>5.3f}"
            f" {max(c.miss_low for c in own):>9.3f} {max(c.miss_high for c in own):>5.3f}"
            f" {max(c.false_pass for c in own):>11.3f} {max(c.width for c in own):>6.2f}"
            f" {np.median([c.width for c in own]):>8.2f} {sum(bool(c.bad) for c in own):>4}"
        )
    print("\ncells of the package's methods that break another limit than that of the width:")
    for cell in ours(found):
        if set(cell.bad) - {"width"}:
            print(
                f"  {cell.what}, {cell.scores}, {cell.items} items, {cell.name}: {', '.join(cell.bad)} (coverage "
                f"{cell.coverage:.3f}, misses {cell.miss_low:.3f} and {cell.miss_high:.3f}, width {cell.width:.2f})"
            )


def _key(cell: Cell) -> tuple[str, str, str, int]:
    return cell.what, cell.scores, cell.method, cell.items


def ours(found: list[Cell]) -> list[Cell]:
    """The cells of the methods that the package uses."""
    return [cell for cell in found if cell.method in ("score", f"unseen {UNSEEN}")]


def summary(found: list[Cell]) -> dict[str, float]:
    """The worst figures of the package's methods."""
    own = ours(found)
    return {
        "cells": len(own),
        "coverage_least": min(cell.coverage for cell in own),
        "miss_most": max(max(cell.miss_low, cell.miss_high) for cell in own),
        "false_pass_most": max(cell.false_pass for cell in own),
        "width_most_plain": max(cell.width for cell in own if cell.method == "score"),
        "width_most_resampled": max(cell.width for cell in own if cell.method != "score"),
        "cells_that_miss": sum(bool({"coverage", "miss", "false PASS"} & set(cell.bad)) for cell in own),
    }


def measure(*, quick: bool = False) -> dict[str, float]:
    """The worst figures over all cells; prints the table too."""
    found = list(cells(200, ITEMS[:2], 300) if quick else cells(2000))
    print_table(found)
    return summary(found)


if __name__ == "__main__":
    print(measure(quick="--quick" in sys.argv))
