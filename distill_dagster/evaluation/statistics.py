"""Intervals of means and of ratios of means, from the items that were seen and one that was not.

All intervals are at the 95 % level. For the mean of one model's 0/1 scores that is Wilson's score interval (Wilson,
JASA 22, 1927). All others are Gaffke's (Three test statistics for a nonparametric one-sided hypothesis on the mean of a
nonnegative variable, Mathematical Methods of Statistics 14, 2005; Learned-Miller and Thomas, A new confidence interval
for the mean of a bounded random variable, arXiv 1905.06208): percentiles of Rubin's Bayesian bootstrap (Annals of
Statistics 9, 1981), to which one unseen item is added. For the low end the unseen item is the worst possible one, for
the high end the best. It weighs as much as one of the n items does on average. With its weight w, and means S
(student), T (teacher), B (baseline) and x of the n items:

    end    unseen item's scores     retention                gap recovered                  mean score
    low    teacher 1, student 0,    (1-w)S / ((1-w)T + w)    ((1-w)(S-B) - w) / (1-w)(T-B)  (1-w)x
           baseline 1
    high   teacher 0, student 1,    ((1-w)S + w) / (1-w)T    ((1-w)(S-B) + w) / (1-w)(T-B)  (1-w)x + w
           baseline 0

An end r of the retention is the value at which the bound of the mean of (student - r teacher) is 0. The unseen item is
the worst, or the best, value that this difference can take for scores in [0, 1]. For the gap that holds as long as at
most the whole gap is recovered.

- If the items are of two kinds, the bound is exact: it is Clopper and Pearson's (Biometrika 26, 1934). If the student
  is below the teacher on no item, up to a share q = 1 - 0.025^(1/n) of all items may still be of that kind. With a
  teacher that is always right the low end is then 1 - q: 0.48 for 5 items, and no PASS at a target of 0.92 with fewer
  than 45. The same holds for gains and the high end.
- One loss of 0.01 does not show how large losses are. The low end of 12 items is 0.734 with it, and 0.735 without.
- Among hundreds of items the unseen one hardly counts. At 400 items an end differs by about 0.004 from a plain
  bootstrap's.
- It is proven for special cases, among them two kinds of items, that such an interval covers the mean at least 95 % of
  the time, and no counterexample is known. Bounds that are proven in general (Hoeffding's, Anderson's) are far wider.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
CELLS_PER_CHUNK = 2_000_000  # item weights held at once: 16 MB

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval of a mean score."""

    low: float
    high: float
    method: Literal["wilson", "bootstrap"]


def resampled_means(scores: Floats, resamples: int, seed: int) -> Floats:
    """Means of N items under weights drawn from the flat Dirichlet distribution: (N, roles) -> (resamples, roles)."""
    rng = np.random.default_rng(seed)
    step = max(1, CELLS_PER_CHUNK // len(scores))
    chunks = []
    for start in range(0, resamples, step):
        weights = rng.standard_exponential((min(step, resamples - start), len(scores)))
        chunks.append(weights @ scores / weights.sum(axis=1, keepdims=True))
    return np.concatenate(chunks)


def unseen_weights(items: int, resamples: int) -> Floats:
    """The unseen item's weight in each resample: (resamples, 1), Beta(1, items) in evenly spaced quantiles.

    The quantiles are fixed, not drawn, so that the ends do not depend on the seed if all items are alike.
    """
    return (1 - ((np.arange(resamples) + 0.5) / resamples) ** (1 / items))[:, None]


def with_unseen(means: Floats, items: int, unseen: tuple[float, ...]) -> Floats:
    """Add an item with these scores by role to resampled means of `items` items: (resamples, roles), the same shape."""
    weights = unseen_weights(items, len(means))
    return (1 - weights) * means + weights * np.array(unseen)


def low_end(draws: Floats) -> float:
    """The lower end of the interval: the 2.5th percentile of the resamples, rounded down to one of them."""
    return float(np.quantile(draws, TAIL, method="lower"))


def high_end(draws: Floats) -> float:
    """The upper end of the interval: the 97.5th percentile of the resamples, rounded up to one of them."""
    return float(np.quantile(draws, 1 - TAIL, method="higher"))


def mean_interval(scores: Iterable[float], *, resamples: int, seed: int) -> Interval:
    """The interval of a mean of scores in [0, 1]: Wilson's if every score is 0 or 1, else Gaffke's.

    Raises:
        ValueError: there are no scores.
    """
    values = np.fromiter(scores, dtype=np.float64)
    if not len(values):
        raise ValueError("0 scores have no mean, and so no interval; pass at least one score")
    if np.isin(values, (0, 1)).all():
        from scipy.stats import binomtest

        ends = binomtest(int(values.sum()), len(values)).proportion_ci(LEVEL, method="wilson")
        return Interval(float(ends.low), float(ends.high), "wilson")
    means = resampled_means(values[:, None], resamples, seed)
    worst, best = (with_unseen(means, len(values), (score,)) for score in (0.0, 1.0))
    return Interval(low_end(worst), high_end(best), "bootstrap")
