"""Intervals of means, from whole groups of items and an item that was not seen.

All intervals are at the 95 % level. 0/1 scores of items that form no groups have a score interval (score_intervals.py).
All others, and every interval of the gap recovered, come from Rubin's Bayesian bootstrap (Annals of Statistics 9,
1981): a resample gives each group a weight, and an item without a group is a group by itself. Rows of one group are
alike, so that they say less than as many rows of their own; resampled one by one, they make intervals too narrow.

To each resample half an unseen group is added: half as large as a group is on average. Its items are the worst
possible for the low end, the best possible for the high end. With its weight w, drawn from Beta(0.5, n) for n groups,
and means S (student), T (teacher), B (baseline) and x of the groups:

    end    unseen item's scores     retention                gap recovered                  mean score
    low    teacher 1, student 0,    (1-w)S / ((1-w)T + w)    ((1-w)(S-B) - w) / (1-w)(T-B)  (1-w)x
           baseline 1
    high   teacher 0, student 1,    ((1-w)S + w) / (1-w)T    ((1-w)(S-B) + w) / (1-w)(T-B)  (1-w)x + w
           baseline 0

With a whole unseen item, w from Beta(1, n), this is Gaffke's bound (Three test statistics for a nonparametric
one-sided hypothesis on the mean of a nonnegative variable, Mathematical Methods of Statistics 14, 2005), and for 0/1
scores Clopper and Pearson's interval (Biometrika 26, 1934). It is never too narrow, and often far too wide. Without an
unseen item, an interval has no width if all items are alike. `python -m benchmarks.intervals` counts what a half, a
whole and a third do; docs/intervals.md has the results.

- One loss of 0.01 does not show how large losses are: the unseen item still allows for a large one.
- Among hundreds of items the unseen one hardly counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from distill_dagster.evaluation.score_intervals import Floats, mean_ends

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
CELLS_PER_CHUNK = 2_000_000  # group weights held at once: 16 MB
UNSEEN = 0.5  # how much of an item, or group, was not seen


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval of a mean score; `wilson` is in documents of earlier versions only."""

    low: float
    high: float
    method: Literal["wilson", "score", "bootstrap"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Items with one score for each role (N, roles), and the group of each item.

    Example:
        >>> sample = Sample(np.array([[1.0], [0.0], [1.0]]), ["doc-7", "doc-7", "doc-8"])
        >>> sample.group_count, sample.is_grouped, sample.sums().tolist()
        (2, True, [[1.0], [1.0]])
    """

    scores: Floats
    groups: Sequence[str] | None = None  # None: no two items belong together

    @property
    def group_count(self) -> int:
        """How many groups there are; an item without one is a group by itself."""
        return len(self.scores) if self.groups is None else len(set(self.groups))

    @property
    def is_grouped(self) -> bool:
        """Whether a group has several items."""
        return self.group_count < len(self.scores)

    @property
    def has_score_interval(self) -> bool:
        """Whether every score is 0 or 1, and no two items belong together."""
        return not self.is_grouped and bool(np.isin(self.scores, (0, 1)).all())

    def of(self, *roles: int) -> "Sample":
        """The same items with the scores of these roles alone, in this order."""
        return Sample(self.scores[:, list(roles)], self.groups)

    def sums(self) -> Floats:
        """The sum of scores of each group: (groups, roles)."""
        return _sums(self.scores, self.groups)

    def resampled(self, resamples: int, seed: int) -> Floats:
        """Means of the items under weights of their groups from the flat Dirichlet distribution: (resamples, roles)."""
        sums, sizes = self.sums(), _sums(np.ones((len(self.scores), 1)), self.groups)
        return np.concatenate([
            (weights @ sums) / (weights @ sizes) for weights in _weights(len(sums), resamples, seed)
        ])  # fmt: skip


def _sums(values: Floats, groups: Sequence[str] | None) -> Floats:
    if groups is None:
        return values
    names, numbers = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, numbers, values)
    return sums


def _weights(groups: int, resamples: int, seed: int) -> Iterable[Floats]:
    """The groups' weights in some resamples at a time, up to a factor: (some, groups)."""
    rng = np.random.default_rng(seed)
    step = max(1, CELLS_PER_CHUNK // groups)
    for start in range(0, resamples, step):
        yield rng.standard_exponential((min(step, resamples - start), groups))


def unseen_weights(groups: int, resamples: int, unseen: float = UNSEEN) -> Floats:
    """The unseen group's weight in each resample: (resamples, 1), Beta(unseen, groups) in evenly spaced quantiles.

    The quantiles are fixed, not drawn, so that the ends do not depend on the seed if all items are alike.
    """
    from scipy.special import betainccinv

    return betainccinv(unseen, groups, (np.arange(resamples) + 0.5) / resamples)[:, None]


def with_unseen(means: Floats, groups: int, unseen: tuple[float, ...]) -> Floats:
    """Add an item with these scores by role to resampled means of `groups` groups: (resamples, roles) as before."""
    weights = unseen_weights(groups, len(means))
    return (1 - weights) * means + weights * np.array(unseen)


def low_end(draws: Floats) -> float:
    """The lower end of the interval: the 2.5th percentile of the resamples, rounded down to one of them."""
    return float(np.quantile(draws, TAIL, method="lower"))


def high_end(draws: Floats) -> float:
    """The upper end of the interval: the 97.5th percentile of the resamples, rounded up to one of them."""
    return float(np.quantile(draws, 1 - TAIL, method="higher"))


def mean_interval(
    scores: Iterable[float], *, resamples: int, seed: int, groups: Sequence[str] | None = None
) -> Interval:
    """The interval of a mean of scores in [0, 1]; `groups` names the group of each score.

    Raises:
        ValueError: there are no scores.
    """
    values = np.fromiter(scores, dtype=np.float64)
    if not len(values):
        raise ValueError("0 scores have no mean, and so no interval; pass at least one score")
    sample = Sample(values[:, None], groups)
    if sample.has_score_interval:
        low, high = mean_ends(values.sum(), len(values))
        return Interval(float(low), float(high), "score")
    means = sample.resampled(resamples, seed)
    worst, best = (with_unseen(means, sample.group_count, (score,)) for score in (0.0, 1.0))
    return Interval(low_end(worst), high_end(best), "bootstrap")
