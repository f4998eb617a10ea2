"""The table of targets that a lesson on distillation sets for a distilled student: target, measured, met or not.

    retention   at least 92 %     98.2 % (96.0–100.4)     met
    latency     85 % lower        86.4 % lower (85.9–86.9)    met
    …

A target is met if the whole 95 % interval is on its good side, and not met if the whole interval is on the other. So a
point of 92.1 % does not meet a target of 92 %: to put the low end of its interval there would take some 300,000 rows.
docs/speed.md says what the lesson's own figures are.
"""

from collections.abc import Callable
from dataclasses import dataclass

from distill_dagster.evaluation.comparison import RatioEstimate
from distill_dagster.evaluation.speed.specs import Measure, SpeedDocument, TimedRatio
from distill_dagster.report.document import LessonRow, Outcome
from distill_dagster.report.numbers import percent, percent_range, size

RETENTION, LATENCY, MEMORY, COST, USERS = 0.92, 0.85, 0.95, 0.60, 10.0
NOT_TIMED = "the models were not timed"


@dataclass(frozen=True, slots=True)
class Gain:
    """A ratio as the change that it makes: a cut of 1 - 1 / ratio, or a multiple."""

    value: float
    low: float
    high: float

    @classmethod
    def cut(cls, ratio: TimedRatio) -> "Gain":
        """By which share the student's figure is smaller than the teacher's; a ratio below 1 gives a negative share."""
        assert None not in (ratio.value, ratio.low, ratio.high), "it is not withheld"
        return cls(*(1 - 1 / end for end in (ratio.value, ratio.low, ratio.high) if end is not None))

    @classmethod
    def multiple(cls, ratio: TimedRatio) -> "Gain":
        """How many times the teacher's figure the student's is."""
        assert None not in (ratio.value, ratio.low, ratio.high), "it is not withheld"
        return cls(*(end for end in (ratio.value, ratio.low, ratio.high) if end is not None))


def lesson_rows(retention: RatioEstimate, speed: SpeedDocument | None) -> list[LessonRow]:
    """The five targets, and what was measured of each."""
    most = speed.most_concurrency if speed else 1
    return [
        _retention(retention),
        _timed("Latency of an answer", "85 % lower", LATENCY, speed, "latency", 1),
        _memory(speed),
        _timed("Cost of an answer", "60 % lower", COST, speed, "cost", most),
        _timed(f"Users: answers a second, {most} in flight", "10 times", USERS, speed, "answers_per_second", most),
    ]


def outcome_of(low: float, high: float, target: float) -> Outcome:
    """What an interval says of a target that a figure should reach."""
    return "met" if low >= target else "not met" if high < target else "undecided"


def _retention(found: RatioEstimate) -> LessonRow:
    what, target = "Retention of the score", f"at least {RETENTION:.0%}".replace("%", " %")
    if found.value is None or found.low is None or found.high is None:
        return _withheld(what, target, found.reason or "the interval has no ends")
    measured = f"{percent(found.value)} ({percent_range(found.low, found.high)})"
    return LessonRow(what=what, target=target, measured=measured, outcome=outcome_of(found.low, found.high, RETENTION))


def _timed(
    what: str, target: str, wanted: float, speed: SpeedDocument | None, measure: Measure, concurrency: int
) -> LessonRow:
    """A target of a ratio that comes from the rounds."""
    if speed is None:
        return _withheld(what, target, NOT_TIMED)
    ratio = speed.ratio(measure, concurrency) or speed.ratio(measure, 1)
    if ratio is None or ratio.value is None:
        return _withheld(what, target, (ratio.withheld if ratio else None) or NOT_TIMED)
    turn: Callable[[TimedRatio], Gain] = Gain.multiple if measure == "answers_per_second" else Gain.cut
    change = turn(ratio)
    if measure == "answers_per_second" and ratio.includes_network:
        return _withheld(what, target, "how many requests an endpoint answers at once is a matter of the account")
    note = "; the teacher's includes the network" if ratio.includes_network else ""
    said = _multiple(change) if measure == "answers_per_second" else _lower(change)
    return LessonRow(
        what=what, target=target, measured=said + note, outcome=outcome_of(change.low, change.high, wanted)
    )


def _memory(speed: SpeedDocument | None) -> LessonRow:
    """The weights, which are counted and have no interval; the peak beside them, with the runtime that both need."""
    what, target = "Memory of the weights", "95 % lower"
    teacher, student = (speed.model(role) if speed else None for role in ("teacher", "student"))
    if teacher is None or student is None:
        return _withheld(what, target, NOT_TIMED)
    theirs, ours = teacher.memory.weight_bytes, student.memory.weight_bytes
    if not theirs or not ours:
        return _withheld(what, target, "only the provider knows the memory of a model behind an endpoint")
    cut = 1 - ours / theirs
    said = f"{_change(cut)}: {size(theirs)} to {size(ours)}"
    peaks = [model.memory.peak_bytes for model in (teacher, student)]
    if None not in peaks:
        floor = student.memory.floor_bytes
        said += f"; peak {size(peaks[0])} to {size(peaks[1])}" + (f", over a runtime of {size(floor)}" if floor else "")
    return LessonRow(what=what, target=target, measured=said, outcome=outcome_of(cut, cut, MEMORY))


def _withheld(what: str, target: str, reason: str) -> LessonRow:
    return LessonRow(what=what, target=target, measured=reason, outcome="withheld")


def _change(share: float) -> str:
    return f"{percent(share)} lower" if share >= 0 else f"{percent(-share)} higher"


def _lower(change: Gain) -> str:
    return f"{_change(change.value)} ({percent_range(change.low, change.high)})"


def _multiple(change: Gain) -> str:
    return f"{change.value:.1f} times ({change.low:.1f}–{change.high:.1f})"
