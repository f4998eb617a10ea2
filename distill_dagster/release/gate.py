"""The rule by which a new student, the challenger, replaces the released one, the champion.

    1. its retention passes: the report's verdict is PASS;
    2. the lower end of the 95 % interval of (challenger - champion) on the same items is at least -margin;
    3. the same against the first release, so that small losses do not add up over many releases;
    4. its gain on the champion is at least as large as the loss that the interval leaves open: low >= -value. So the
       margin narrows with the interval, and many items do not let slightly worse students through. Students that
       answer every item alike are exempt, and `release.must_gain: false` drops the condition.

A test that only fails to show that the challenger is worse is no such rule: with few items it lets nearly everything
through. Here it is the challenger who has to show that it is not worse. benchmarks/releases.py simulates both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distill_dagster.config import EvaluationConfig, ReleaseConfig
from distill_dagster.evaluation.items import Groups
from distill_dagster.release.difference import difference_interval
from distill_dagster.release.specs import ScoreDifference
from distill_dagster.report.document import StatedVerdict

SHOWN = 12  # characters of a student's name
ItemScores = Mapping[str, float]  # row_id -> score


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether the challenger may replace the champion, and the differences that say so."""

    passes: bool
    why: str
    against_champion: ScoreDifference | None = None
    against_first: ScoreDifference | None = None


def short(student: str | None) -> str:
    """A student's name for people."""
    return student[:SHOWN] if student else "none"


def judge(
    verdict: StatedVerdict,
    challenger: ItemScores,
    champion: ItemScores | None,
    first: ItemScores | None,
    release: ReleaseConfig,
    evaluation: EvaluationConfig,
    groups: Groups | None = None,
) -> GateResult:
    """Judge a challenger. `champion` is None if nothing is released; `first` is None if it is the champion.

    Raises:
        DataError: the students were not scored on the same items.
    """
    if not challenger:
        return GateResult(False, "no held-out row has a gold answer, so it has no score")
    if verdict.verdict != "PASS":
        return GateResult(False, f"its retention is {verdict.verdict}: {verdict.text}")
    if champion is None:
        return GateResult(True, "it is the first student whose retention passes")
    how: dict[str, Any] = {"groups": groups, "resamples": evaluation.resamples, "seed": evaluation.seed}
    to_champion = difference_interval(challenger, champion, **how)
    to_first = difference_interval(challenger, first, **how) if first is not None else None
    holds = all(found.low >= -release.margin for found in (to_champion, to_first) if found)
    gains = not release.must_gain or challenger == champion or to_champion.low >= -to_champion.value
    compared = [f"against the released student: {to_champion}"]
    compared += [f"against the first release: {to_first}"] if to_first else []
    said = [f"the lower ends {'are' if holds else 'have to be'} at least {-100 * release.margin:.1f} points"]
    said += [] if gains else ["the gain has to be at least as large as the loss that the interval leaves open"]
    return GateResult(holds and gains, "; ".join([*compared, *said]), to_champion, to_first)
