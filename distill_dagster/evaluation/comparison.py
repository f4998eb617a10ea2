"""Student against teacher and baseline: retention, gap recovered, and McNemar's test.

The models answer the same items, so they are resampled together (paired bootstrap): one resample gives every item a
weight, and takes all three means under these weights. An item is a row. A conversation is one item, whose score is the
mean of its turns, because the turns of one conversation are not independent. Worked example with four items:

    row_id   teacher  student  baseline
    q1       1        1        0
    q2       1        0        0            T = 0.75, S = 0.50, B = 0.25
    q3       1        1        1            retention      S / T             = 0.667
    q4       0        0        0            gap recovered  (S - B) / (T - B) = 0.5

statistics.py explains how the intervals are computed. A resample whose denominator is not above 0 has no ratio. Such
resamples are counted, and count against both ends: as minus infinity for the lower end, as plus infinity for the upper
one. If more than 2.5 % of the resamples are such, the interval has no ends, and the verdict is INCONCLUSIVE.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from distill_dagster.errors import DataError
from distill_dagster.evaluation.statistics import Floats, high_end, low_end, resampled_means, with_unseen

SMALLEST_DENOMINATOR = 1e-12
WORST, BEST = (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)  # teacher's, student's and baseline's score of the unseen item

Parts = Callable[[Floats], tuple[Floats, Floats]]  # means (…, 3) -> a ratio's numerator and denominator (…,)


class RatioEstimate(BaseModel, frozen=True):
    """A ratio of scores and its 95 % interval.

    `value` is None if the ratio is undefined, an end is None if the interval has none; `reason` says why.
    """

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

    retention: RatioEstimate
    gap_recovered: RatioEstimate


class McNemar(BaseModel, frozen=True):
    """Items that only one of the two got right, and the exact two-sided p-value of a split so uneven."""

    only_teacher: int
    only_student: int
    p_value: float


def item_scores(predictions: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """row_id -> score of the item: the mean of its scored turns. Rows without a scored turn are left out."""
    turns: dict[str, list[float]] = defaultdict(list)
    for row in predictions:
        if row["score"] is not None:
            turns[row["row_id"]].append(row["score"])
    return {row_id: math.fsum(scores) / len(scores) for row_id, scores in turns.items()}


def join_scores(scores: Mapping[str, Mapping[str, float]]) -> Floats:
    """Scores by role -> one row an item, one column a role (N, roles), in the order of the first role's items.

    Raises:
        DataError: the roles were scored on different items, or on none; the message names items that differ.
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
    worst, best = (with_unseen(means, len(scores), unseen) for unseen in (WORST, BEST))

    def estimate(parts: Parts, undefined_because: str) -> RatioEstimate:
        ends = _divide(*parts(worst), -np.inf), _divide(*parts(best), np.inf)
        return _estimate(float(_divide(*parts(point), np.nan)), *ends, len(scores), undefined_because)

    return Comparison(
        retention=estimate(_retention, "the teacher scored 0, so the student has nothing to retain"),
        gap_recovered=estimate(_gap, "the teacher scored no better than the baseline, so no gap can be recovered"),
    )


def _retention(means: Floats) -> tuple[Floats, Floats]:
    return means[..., 1], means[..., 0]


def _gap(means: Floats) -> tuple[Floats, Floats]:
    return means[..., 1] - means[..., 2], means[..., 0] - means[..., 2]


def _divide(numerator: Floats, denominator: Floats, otherwise: float) -> Floats:
    """The ratio, or `otherwise` if the denominator is not above 0."""
    out = np.full_like(numerator, otherwise)
    return np.divide(numerator, denominator, out=out, where=denominator > SMALLEST_DENOMINATOR)


def _estimate(point: float, worst: Floats, best: Floats, items: int, undefined_because: str) -> RatioEstimate:
    """The estimate from the ratio and its resamples with the worst and with the best unseen item, (resamples,) each."""
    resamples, undefined = len(best), int(np.isinf(best).sum())
    value, low, high, reason = _finite(point), None, None, undefined_because
    if value is not None:
        low, high, reason = _finite(low_end(worst)), _finite(high_end(best)), None
        if low is None or high is None:
            reason = (
                f"{undefined:,} of {resamples:,} resamples have no ratio ({undefined_because}), so the interval has no "
                "ends"
            )
    return RatioEstimate(
        value=value, low=low, high=high, items=items, resamples=resamples, undefined=undefined, reason=reason
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def mcnemar(teacher: Mapping[str, float], student: Mapping[str, float]) -> McNemar | None:
    """McNemar's exact test (binomial on the discordant items); None if any score is neither 0 nor 1.

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
    return McNemar(only_teacher=only_teacher, only_student=only_student, p_value=p)
