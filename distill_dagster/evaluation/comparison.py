"""Student against teacher and baseline: retention, gap recovered, both differences, and McNemar's test.

The models answer the same items, so each item counts with its scores of all three. An item is a row; a conversation is
one item, whose score is the mean of its turns. Items of one group stay together in every resample, because they are not
independent. Worked example with four items:

    row_id   teacher  student  baseline
    q1       1        1        0
    q2       1        0        0            T = 0.75, S = 0.50, B = 0.25
    q3       1        1        1            retention      S / T             = 0.667
    q4       0        0        0            gap recovered  (S - B) / (T - B) = 0.5
                                            differences    S - T, S - B      = -0.25, 0.25

Which interval is used when:

    scores    groups   retention, differences                gap recovered
    0 or 1    none     score interval (score_intervals.py)   bootstrap
    others    any      bootstrap (statistics.py)             bootstrap
    0 or 1    some     bootstrap                             bootstrap

A resample whose denominator is not above 0 has no ratio. Such resamples are counted, and count against both ends: as
minus infinity for the lower end, as plus infinity for the upper one. If more than 2.5 % of the resamples are such, the
interval has no ends, and the verdict is INCONCLUSIVE.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel

from distill_dagster.evaluation.differences import Difference, difference_of, paired_counts, sign_test
from distill_dagster.evaluation.items import Groups, join_items
from distill_dagster.evaluation.score_intervals import ratio_ends
from distill_dagster.evaluation.statistics import Floats, Sample, high_end, low_end, with_unseen

SMALLEST_DENOMINATOR = 1e-12
WORST, BEST = (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)  # teacher's, student's and baseline's score of the unseen item
NOTHING_TO_RETAIN = "the teacher scored 0, so the student has nothing to retain"

Parts = Callable[[Floats], tuple[Floats, Floats]]  # means (…, roles) -> a ratio's numerator and denominator (…,)
Ratio = tuple[Parts, str]  # and why it is undefined, where it is


class RatioEstimate(BaseModel, frozen=True):
    """A ratio of scores and its 95 % interval.

    `value` is None if the ratio is undefined, an end is None if the interval has none; `reason` says why.
    """

    value: float | None
    low: float | None
    high: float | None
    items: int
    resamples: int  # 0: a score interval, which needs none
    undefined: int  # resamples without a ratio
    reason: str | None = None
    groups: int | None = None  # None: no two items belong together


@dataclass(frozen=True, slots=True)
class Comparison:
    """Student against teacher and baseline."""

    retention: RatioEstimate
    gap_recovered: RatioEstimate
    to_teacher: Difference  # S - T
    to_baseline: Difference  # S - B


class McNemar(BaseModel, frozen=True):
    """Items that only one of the two got right, and the exact two-sided p-value of a split at least this uneven.

    The p-value is None if items form groups: the test takes them as independent.
    """

    only_teacher: int
    only_student: int
    p_value: float | None


def compare(
    teacher: Mapping[str, float],
    student: Mapping[str, float],
    baseline: Mapping[str, float],
    *,
    resamples: int,
    seed: int,
    groups: Groups | None = None,
) -> Comparison:
    """Retention S/T, gap recovered (S-B)/(T-B) and the differences S-T and S-B, from scores in [0, 1] by row_id.

    `groups` names the group of the rows that have one (`items.item_groups`).

    Raises:
        DataError: the three were not scored on the same items.
    """
    sample = join_items({"teacher": teacher, "student": student, "baseline": baseline}, groups)  # scores: (N, 3)
    scored = _score_estimate(sample)
    gap, *resampled = _resampled(sample, [GAP] if scored else [GAP, RETENTION], resamples, seed)
    pairs = (sample.of(1, 0), sample.of(1, 2))  # student with teacher, student with baseline
    to_teacher, to_baseline = (difference_of(pair, resamples=resamples, seed=seed) for pair in pairs)
    return Comparison(
        retention=scored or resampled[0],
        gap_recovered=gap,
        to_teacher=to_teacher,
        to_baseline=to_baseline,
    )


def retention_of(
    teacher: Mapping[str, float],
    student: Mapping[str, float],
    *,
    resamples: int,
    seed: int,
    groups: Groups | None = None,
) -> RatioEstimate:
    """The retention alone, as in `compare`."""
    sample = join_items({"teacher": teacher, "student": student}, groups)
    return _score_estimate(sample) or _resampled(sample, [RETENTION], resamples, seed)[0]


def _score_estimate(sample: Sample) -> RatioEstimate | None:
    """The retention with its score interval; None if the scores have none, or the teacher scored 0."""
    teacher, student = sample.scores[:, 0], sample.scores[:, 1]
    if not sample.has_score_interval or not teacher.any():
        return None
    low, high = ratio_ends(*paired_counts(teacher, student))
    return RatioEstimate(
        value=float(student.sum() / teacher.sum()),
        low=float(low),
        high=float(high),
        items=len(teacher),
        resamples=0,
        undefined=0,
    )


def _retention(means: Floats) -> tuple[Floats, Floats]:
    return means[..., 1], means[..., 0]


def _gap(means: Floats) -> tuple[Floats, Floats]:
    return means[..., 1] - means[..., 2], means[..., 0] - means[..., 2]


RETENTION: Ratio = (_retention, NOTHING_TO_RETAIN)
GAP: Ratio = (_gap, "the teacher scored no better than the baseline, so no gap can be recovered")


def _resampled(sample: Sample, ratios: Sequence[Ratio], resamples: int, seed: int) -> list[RatioEstimate]:
    """Each ratio with its bootstrap interval, all from the same resamples."""
    means, point = sample.resampled(resamples, seed), sample.scores.mean(axis=0)  # (resamples, roles), (roles,)
    worst, best = (with_unseen(means, sample.group_count, unseen[: len(point)]) for unseen in (WORST, BEST))

    def estimate(parts: Parts, undefined_because: str) -> RatioEstimate:
        ends = _divide(*parts(worst), -np.inf), _divide(*parts(best), np.inf)
        return _estimate(float(_divide(*parts(point), np.nan)), *ends, sample, undefined_because)

    return [estimate(*ratio) for ratio in ratios]


def _divide(numerator: Floats, denominator: Floats, otherwise: float) -> Floats:
    """The ratio, or `otherwise` if the denominator is not above 0."""
    out = np.full_like(numerator, otherwise)
    return np.divide(numerator, denominator, out=out, where=denominator > SMALLEST_DENOMINATOR)


def _estimate(point: float, worst: Floats, best: Floats, sample: Sample, undefined_because: str) -> RatioEstimate:
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
        value=value,
        low=low,
        high=high,
        items=len(sample.scores),
        resamples=resamples,
        undefined=undefined,
        reason=reason,
        groups=sample.group_count if sample.is_grouped else None,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def mcnemar(teacher: Mapping[str, float], student: Mapping[str, float], groups: Groups | None = None) -> McNemar | None:
    """McNemar's exact test (binomial on the discordant items); None if any score is neither 0 nor 1.

    Source: McNemar, Psychometrika 12, 1947; the exact form is the two-sided sign test.
    """
    sample = join_items({"teacher": teacher, "student": student}, groups)
    if not np.isin(sample.scores, (0, 1)).all():
        return None
    _, only_teacher, only_student, _ = paired_counts(sample.scores[:, 0], sample.scores[:, 1])
    p_value = None if sample.is_grouped else sign_test(only_teacher, only_student)
    return McNemar(only_teacher=only_teacher, only_student=only_student, p_value=p_value)
