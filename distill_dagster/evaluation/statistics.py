"""How sure one may be of a score, of a ratio of scores, and of the verdict that hangs on it.

Models are compared on the same items, so they are resampled together: one bootstrap resample draws items, and
takes the teacher's, the student's and the baseline's score of each (paired bootstrap). An item is a row; a
conversation is one item, whose score is the mean of its turns, because turns of one conversation are not
independent. Worked example with four items:

    row_id   teacher  student  baseline
    q1       1        1        0
    q2       1        0        0            T = 0.75, S = 0.50, B = 0.25
    q3       1        1        1            retention      S / T             = 0.667
    q4       0        0        0            gap recovered  (S - B) / (T - B) = 0.5

Intervals are 95 % percentile intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13),
for 0/1 scores of one model Wilson's score interval (Wilson, JASA 22, 1927). Two places where a plain percentile
interval would lie are dealt with here:

- A resample whose denominator is not above 0 has no ratio. It is counted, and counts against both ends: as minus
  infinity when the lower end is taken, as plus infinity for the upper one. So with over 2.5 % of such resamples
  the interval has no ends, and the verdict is INCONCLUSIVE.
- Where all resamples give the same ratio (student and teacher agree on every item), the interval would have no
  width, as if three items could prove anything. Then its half-width is q over the denominator, where
  q = 1 - 0.025^(1/n) is the exact (Clopper-Pearson) bound on the share of items that behave in a way that none
  of the n did, each of which may change the numerator by 1.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from distill_dagster.errors import DataError

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
CELLS_PER_CHUNK = 2_000_000  # item draws held at once: 8 MB of indices

Floats = npt.NDArray[np.float64]


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
    """Means of `resamples` draws of N items with replacement: (N, roles) -> (resamples, roles)."""
    rng = np.random.default_rng(seed)
    items = len(scores)
    columns = [np.ascontiguousarray(column) for column in scores.T]
    step = max(1, CELLS_PER_CHUNK // items)
    chunks = []
    for start in range(0, resamples, step):
        drawn = rng.integers(0, items, (min(step, resamples - start), items), dtype=np.int32)
        chunks.append(np.stack([column[drawn].mean(axis=1) for column in columns], axis=1))
    return np.concatenate(chunks)


def mean_interval(scores: Iterable[float], *, resamples: int, seed: int) -> Interval:
    """The interval of a mean score: Wilson's where every score is 0 or 1, else a bootstrap percentile interval.

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
    means = resampled_means(values[:, None], resamples, seed)[:, 0]
    low, high = np.quantile(means, (TAIL, 1 - TAIL))
    return Interval(float(low), float(high), "bootstrap")


def compare(
    teacher: Mapping[str, float],
    student: Mapping[str, float],
    baseline: Mapping[str, float],
    *,
    resamples: int,
    seed: int,
) -> Comparison:
    """Retention S/T and gap recovered (S-B)/(T-B) with paired-bootstrap intervals, from scores by row_id.

    Raises:
        DataError: the three were not scored on the same items.
    """
    scores = join_scores({"teacher": teacher, "student": student, "baseline": baseline})  # (N, 3)
    means = np.concatenate([scores.mean(axis=0, keepdims=True), resampled_means(scores, resamples, seed)])
    t, s, b = means.T  # (1 + resamples,) each; first the point, then the resamples
    return Comparison(
        retention=_ratio(s, t, len(scores), "the teacher scored 0, so there is nothing to retain"),
        gap_recovered=_ratio(
            s - b, t - b, len(scores), "the teacher scored no better than the baseline: no gap to recover"
        ),
    )


def _ratio(numerator: Floats, denominator: Floats, items: int, undefined_because: str) -> Estimate:
    """The estimate from a point (element 0) and its resamples (the rest)."""
    resamples = len(numerator) - 1
    defined = denominator > 1e-12
    if not defined[0]:
        return Estimate(None, None, None, items, resamples, int((~defined[1:]).sum()), undefined_because)
    ratios = np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=defined)
    point, drawn, known = float(ratios[0]), ratios[1:], defined[1:]
    low: float = np.quantile(np.where(known, drawn, -np.inf), TAIL, method="lower")
    high: float = np.quantile(np.where(known, drawn, np.inf), 1 - TAIL, method="higher")
    if high - low < 1e-12:
        margin = (1 - TAIL ** (1 / items)) / float(denominator[0])
        low, high = point - margin, point + margin
    undefined = int((~known).sum())
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
