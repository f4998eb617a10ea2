"""How sure one may be of a score, of a ratio of scores, and of the verdict that hangs on it.

Models are compared on the same items, so they are resampled together: one resample gives every item a weight, and
takes the teacher's, the student's and the baseline's mean under these weights (paired bootstrap). An item is a row; a
conversation is one item, whose score is the mean of its turns, because turns of one conversation are not
independent. Worked example with four items:

    row_id   teacher  student  baseline
    q1       1        1        0
    q2       1        0        0            T = 0.75, S = 0.50, B = 0.25
    q3       1        1        1            retention      S / T             = 0.667
    q4       0        0        0            gap recovered  (S - B) / (T - B) = 0.5

Intervals are of 95 %. For 0/1 scores of one model that is Wilson's score interval (Wilson, JASA 22, 1927). All others
are Gaffke's (Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable,
Mathematical Methods of Statistics 14, 2005; Learned-Miller and Thomas, A new confidence interval for the mean of a
bounded random variable, arXiv 1905.06208): percentiles of Rubin's Bayesian bootstrap (Annals of Statistics 9, 1981) in
which one item more takes part than was seen, the worst that there could be for the low end, the best for the high one.
It weighs as much as one of the n items does on average. With its weight w, and means S, T, B and x of the n items:

    end    unseen item's scores     retention                gap recovered                  mean score
    low    teacher 1, student 0,    (1-w)S / ((1-w)T + w)    ((1-w)(S-B) - w) / (1-w)(T-B)  (1-w)x
           baseline 1
    high   teacher 0, student 1,    ((1-w)S + w) / (1-w)T    ((1-w)(S-B) + w) / (1-w)(T-B)  (1-w)x + w
           baseline 0

An end r of the retention is where the bound of the mean of (student - r teacher) is 0, and the unseen item is the
worst, or best, that this can be for scores in [0, 1]; for the gap that is so while no more than all of it is recovered.

- Where items are of two kinds the bound is exact, Clopper and Pearson's (Biometrika 26, 1934). If no item has the
  student below the teacher, up to a share q = 1 - 0.025^(1/n) of all items may; with a teacher that is always right
  the low end is then 1 - q: 0.48 for 5 items, and no PASS at a target of 0.92 with fewer than 45. Gains and the high
  end alike.
- One loss of 0.01 does not show how large losses are. The low end of 12 items is 0.734 with it, and 0.735 without any.
- With hundreds of items the unseen one hardly counts. At 400 an end moves by about 0.004 against a plain bootstrap's.
- That such an interval covers the mean at least 95 % of the time is proven for special cases, two kinds of items among
  them, and no counterexample is known. Bounds that are proven in general (Hoeffding's, Anderson's) are far wider.

A resample whose denominator is not above 0 has no ratio. It is counted, and counts against both ends: as minus infinity
when the lower end is taken, as plus infinity for the upper one. So with over 2.5 % of such resamples the interval has
no ends, and the verdict is INCONCLUSIVE.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from distill_dagster.errors import DataError

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
CELLS_PER_CHUNK = 2_000_000  # item weights held at once: 16 MB
SMALLEST_DENOMINATOR = 1e-12
WORST, BEST = (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)  # teacher's, student's and baseline's score of the unseen item

Floats = npt.NDArray[np.float64]
Parts = Callable[[Floats], tuple[Floats, Floats]]  # means (…, 3) -> a ratio's numerator and denominator (…,)


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval of a mean score."""

    low: float
    high: float
    method: Literal["wilson", "bootstrap"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio of scores. `value` is None where it is undefined (`reason` says why), an end where there is none."""

    value: float | None
    low: float | None
    high: float | None
    items: int
    resamples: int
    undefined: int  # resamples without a ratio
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Student against teacher and baseline, from one set of resamples."""

    retention: Estimate
    gap_recovered: Estimate


@dataclass(frozen=True, slots=True)
class McNemar:
    """Items that only one of the two got right, and the exact two-sided p-value of so uneven a split."""

    only_teacher: int
    only_student: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the interval says about the target. `items_needed` is None where no number of items can be named."""

    outcome: Literal["PASS", "FAIL", "INCONCLUSIVE"]
    reason: str
    items_needed: int | None = None


def item_scores(predictions: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """row_id -> score of the item: the mean of its scored turns. Rows without any scored turn are left out."""
    turns: dict[str, list[float]] = defaultdict(list)
    for row in predictions:
        if row["score"] is not None:
            turns[row["row_id"]].append(row["score"])
    return {row_id: math.fsum(scores) / len(scores) for row_id, scores in turns.items()}


def join_scores(scores: Mapping[str, Mapping[str, float]]) -> Floats:
    """Scores by role -> one row an item, one column a role (N, roles), in the order of the first role's items.

    Raises:
        DataError: the roles were not scored on the same items, or on none; the message names the ones that differ.
    """
    (first, ids), *rest = ((role, list(items)) for role, items in scores.items())
    for role, others in rest:
        missing, extra = sorted(set(ids) - set(others)), sorted(set(others) - set(ids))
        if missing or extra:
            raise DataError(
                f"{first} and {role} were not scored on the same items: "
                f"{len(missing)} only in {first} {_some(missing)}, {len(extra)} only in {role} {_some(extra)}; "
                "materialize both benchmarks again from one eval_dataset"
            )
    if not ids:
        raise DataError(f"{' and '.join(scores)} have no scored items; give the held-out rows references")
    return np.array([[items[i] for items in scores.values()] for i in ids], dtype=np.float64)


def _some(ids: list[str]) -> str:
    return f"({', '.join(map(repr, ids[:3]))}{', …' if len(ids) > 3 else ''})" if ids else ""


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

    They are evenly spaced and not drawn, so that the ends do not depend on the seed where all items are alike.
    """
    return (1 - ((np.arange(resamples) + 0.5) / resamples) ** (1 / items))[:, None]


def _with_unseen(means: Floats, items: int, unseen: tuple[float, ...]) -> Floats:
    """Resampled means (resamples, roles) with one item more, whose scores by role are given."""
    weights = unseen_weights(items, len(means))
    return (1 - weights) * means + weights * np.array(unseen)


def _low_end(draws: Floats) -> float:
    return float(np.quantile(draws, TAIL, method="lower"))


def _high_end(draws: Floats) -> float:
    return float(np.quantile(draws, 1 - TAIL, method="higher"))


def mean_interval(scores: Iterable[float], *, resamples: int, seed: int) -> Interval:
    """The interval of a mean of scores in [0, 1]: Wilson's where every score is 0 or 1, else Gaffke's.

    Raises:
        ValueError: there are no scores.
    """
    values = np.fromiter(scores, dtype=np.float64)
    if not len(values):
        raise ValueError("the mean of no scores has no interval")
    if np.isin(values, (0, 1)).all():
        from scipy.stats import binomtest

        ends = binomtest(int(values.sum()), len(values)).proportion_ci(LEVEL, method="wilson")
        return Interval(float(ends.low), float(ends.high), "wilson")
    means = resampled_means(values[:, None], resamples, seed)
    worst, best = (_with_unseen(means, len(values), (score,)) for score in (0.0, 1.0))
    return Interval(_low_end(worst), _high_end(best), "bootstrap")


def compare(
    teacher: Mapping[str, float],
    student: Mapping[str, float],
    baseline: Mapping[str, float],
    *,
    resamples: int,
    seed: int,
) -> Comparison:
    """Retention S/T and gap recovered (S-B)/(T-B) with paired-bootstrap intervals, from scores in [0, 1] by row_id.

    Raises:
        DataError: the three were not scored on the same items.
    """
    scores = join_scores({"teacher": teacher, "student": student, "baseline": baseline})  # (N, 3)
    means = resampled_means(scores, resamples, seed)  # (resamples, 3)
    point = scores.mean(axis=0)
    worst, best = (_with_unseen(means, len(scores), unseen) for unseen in (WORST, BEST))

    def estimate(parts: Parts, undefined_because: str) -> Estimate:
        ends = _divide(*parts(worst), -np.inf), _divide(*parts(best), np.inf)
        return _estimate(float(_divide(*parts(point), np.nan)), *ends, len(scores), undefined_because)

    return Comparison(
        retention=estimate(_retention, "the teacher scored 0, so there is nothing to retain"),
        gap_recovered=estimate(_gap, "the teacher scored no better than the baseline: no gap to recover"),
    )


def _retention(means: Floats) -> tuple[Floats, Floats]:
    return means[..., 1], means[..., 0]


def _gap(means: Floats) -> tuple[Floats, Floats]:
    return means[..., 1] - means[..., 2], means[..., 0] - means[..., 2]


def _divide(numerator: Floats, denominator: Floats, otherwise: float) -> Floats:
    """The ratio, and `otherwise` where the denominator is not above 0."""
    out = np.full_like(numerator, otherwise)
    return np.divide(numerator, denominator, out=out, where=denominator > SMALLEST_DENOMINATOR)


def _estimate(point: float, worst: Floats, best: Floats, items: int, undefined_because: str) -> Estimate:
    """The estimate from the ratio and its resamples with the worst and with the best unseen item, (resamples,) each."""
    resamples, undefined = len(best), int(np.isinf(best).sum())
    if math.isnan(point):
        return Estimate(None, None, None, items, resamples, undefined, undefined_because)
    low, high = _low_end(worst), _high_end(best)
    reason = None
    if math.isinf(low) or math.isinf(high):
        reason = (
            f"{undefined:,} of {resamples:,} resamples have no ratio ({undefined_because}), so the interval has no ends"
        )
    return Estimate(point, _finite(low), _finite(high), items, resamples, undefined, reason)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def mcnemar(teacher: Mapping[str, float], student: Mapping[str, float]) -> McNemar | None:
    """McNemar's exact test (binomial on the discordant items); None where a score is neither 0 nor 1.

    Source: McNemar, Psychometrika 12, 1947; the exact form is the two-sided sign test.
    """
    from scipy.stats import binomtest

    scores = join_scores({"teacher": teacher, "student": student})
    if not np.isin(scores, (0, 1)).all():
        return None
    only_teacher = int((scores[:, 0] > scores[:, 1]).sum())
    only_student = int((scores[:, 1] > scores[:, 0]).sum())
    discordant = only_teacher + only_student
    p = float(binomtest(only_student, discordant, 0.5).pvalue) if discordant else 1.0
    return McNemar(only_teacher, only_student, p)


def items_to_decide(estimate: Estimate, target: float) -> int | None:
    """About how many items would bring the interval's near end to the target, were the estimate to stay where it is.

    An interval's width shrinks with the square root of n. With h the distance from the estimate to the end that
    lies beyond the target, and d the distance from the estimate to the target: n' = n (h / d)^2, rounded up.
    None where the estimate equals the target (no n decides), or has no such end.
    """
    if estimate.value is None or math.isclose(estimate.value, target, abs_tol=1e-12):
        return None
    end = estimate.low if estimate.value > target else estimate.high
    if end is None:
        return None
    needed = math.ceil(estimate.items * ((estimate.value - end) / (estimate.value - target)) ** 2 - 1e-6)
    return max(needed, estimate.items + 1)


def decide(estimate: Estimate, target: float) -> Verdict:
    """PASS if the whole interval is at or above the target, FAIL if it is all below, else INCONCLUSIVE."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return Verdict("INCONCLUSIVE", estimate.reason or "the interval has no ends", items_to_decide(estimate, target))
    if estimate.low >= target:
        return Verdict("PASS", "the whole interval is at or above the target")
    if estimate.high < target:
        return Verdict("FAIL", "the whole interval is below the target")
    return Verdict("INCONCLUSIVE", "the interval contains the target", items_to_decide(estimate, target))
