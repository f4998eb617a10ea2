"""The table of targets that a lesson on distillation sets for a distilled student: target, measured, met or not.

    retention   at least 92 %     98.2 % (96.0–100.4)     met
    latency     85 % lower        86.4 % lower (85.9–86.9)    met
    …

With exports, the last four have two rows: the student in the engine of the teacher, and the export that is shipped.

A target is met if the whole 95 % interval is on its good side, and not met if the whole interval is on the other. So a
point of 92.1 % does not meet a target of 92 %: to put the low end of its interval there would take some 300,000 rows.
Where a ratio of times is withheld because its rounds differ, a target is still met if every round reaches it.
docs/speed.md says what the lesson's own figures are.
"""

from collections.abc import Callable
from dataclasses import dataclass

from distill_dagster.evaluation.comparison import RatioEstimate
from distill_dagster.evaluation.speed.ratios import MOST_SPREAD
from distill_dagster.evaluation.speed.specs import Measure, ModelSpeed, SpeedDocument, TimedRatio
from distill_dagster.report.document import LessonRow, Outcome
from distill_dagster.report.numbers import percent, percent_range, size

RETENTION, LATENCY, MEMORY, COST, USERS = 0.92, 0.85, 0.95, 0.60, 10.0
NOT_TIMED = "the models were not timed"


@dataclass(frozen=True, slots=True)
class Gain:
    """A ratio as the change that it makes: a cut of 1 - 1 / ratio, or a multiple; with its ends."""

    value: float
    low: float
    high: float
    is_multiple: bool

    @classmethod
    def cut(cls, value: float, low: float, high: float) -> "Gain":
        """By which share the student's figure is smaller than the teacher's; a ratio below 1 gives a negative share."""
        return cls(1 - 1 / value, 1 - 1 / low, 1 - 1 / high, is_multiple=False)

    @classmethod
    def multiple(cls, value: float, low: float, high: float) -> "Gain":
        """How many times the teacher's figure the student's is."""
        return cls(value, low, high, is_multiple=True)

    def __str__(self) -> str:
        if self.is_multiple:
            return f"{self.value:.1f} times ({self.low:.1f}–{self.high:.1f})"
        return f"{_change(self.value)} ({percent_range(self.low, self.high)})"

    @property
    def range(self) -> str:
        """The ends in words."""
        return (
            f"{self.low:.1f}–{self.high:.1f} times"
            if self.is_multiple
            else f"{_change(self.low)} to {_change(self.high)}"
        )


@dataclass(frozen=True, slots=True)
class AgainstTargets:
    """The student in one engine against the teacher, or one of its exports."""

    speed: SpeedDocument | None
    name: str  # of the timed model
    engine: str  # in words, behind the name of a target; "" if there is only one

    def rows(self) -> list[LessonRow]:
        """The four targets of speed and size."""
        most = self.speed.most_concurrency if self.speed else 1
        users = f"Users: answers a second, {most} in flight"
        return [
            self._timed("Latency of an answer", "85 % lower", LATENCY, "latency", 1),
            self._memory(),
            self._timed("Cost of an answer", "60 % lower", COST, "cost", most),
            self._timed(users, "10 times", USERS, "answers_per_second", most),
        ]

    def _timed(self, what: str, target: str, wanted: float, measure: Measure, concurrency: int) -> LessonRow:
        """A target of a ratio that comes from the rounds."""
        what += self.engine
        if self.speed is None:
            return _withheld(what, target, NOT_TIMED)
        ratio = self.speed.ratio(measure, concurrency, self.name) or self.speed.ratio(measure, 1, self.name)
        return _of_ratio(what, target, wanted, measure, ratio)

    def _memory(self) -> LessonRow:
        """The weights, which are counted and have no interval; the peak beside them, with the runtime's own memory."""
        what, target = "Memory of the weights" + self.engine, "95 % lower"
        teacher, student = (self.speed.model(name) if self.speed else None for name in ("teacher", self.name))
        if teacher is None or student is None:
            return _withheld(what, target, NOT_TIMED)
        theirs, ours = teacher.memory.weight_bytes, student.memory.weight_bytes
        if not theirs or not ours:
            return _withheld(what, target, "only the provider knows the memory of a model behind an endpoint")
        cut = 1 - ours / theirs
        said = f"{_change(cut)}: {size(theirs)} to {size(ours)}{_peaks(teacher, student)}"
        return LessonRow(what=what, target=target, measured=said, outcome=outcome_of(cut, cut, MEMORY))


def lesson_rows(retention: RatioEstimate, speed: SpeedDocument | None, shipped: str | None = None) -> list[LessonRow]:
    """The five targets, and what was measured of each; `shipped` is the export that is held against them too."""
    if speed is None or shipped is None or speed.model(shipped) is None:
        return [_retention(retention), *AgainstTargets(speed, "student", "").rows()]
    same = AgainstTargets(speed, "student", ", same engine").rows()
    where = "" if speed.device == "cpu" else f" on the CPU, the teacher on {speed.device}"
    other = AgainstTargets(speed, shipped, f", shipped engine ({shipped}{where})").rows()
    return [_retention(retention), *(row for pair in zip(same, other, strict=True) for row in pair)]


def outcome_of(low: float, high: float, target: float) -> Outcome:
    """What an interval says of a target that a figure should reach."""
    return "met" if low >= target else "not met" if high < target else "undecided"


def _retention(found: RatioEstimate) -> LessonRow:
    what, target = "Retention of the score", f"at least {RETENTION:.0%}".replace("%", " %")
    if found.value is None or found.low is None or found.high is None:
        return _withheld(what, target, found.reason or "the interval has no ends")
    measured = f"{percent(found.value)} ({percent_range(found.low, found.high)})"
    return LessonRow(what=what, target=target, measured=measured, outcome=outcome_of(found.low, found.high, RETENTION))


def _of_ratio(what: str, target: str, wanted: float, measure: Measure, ratio: TimedRatio | None) -> LessonRow:
    is_multiple = measure == "answers_per_second"
    if ratio is None:
        return _withheld(what, target, NOT_TIMED)
    if is_multiple and ratio.includes_network:
        return _withheld(what, target, "how many requests an endpoint answers at once is a matter of the account")
    gain = Gain.multiple if is_multiple else Gain.cut
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return _of_rounds(what, target, wanted, gain, ratio)
    change = gain(ratio.value, ratio.low, ratio.high)
    note = "; the teacher's includes the network" if ratio.includes_network else ""
    return LessonRow(
        what=what, target=target, measured=str(change) + note, outcome=outcome_of(change.low, change.high, wanted)
    )


def _of_rounds(
    what: str, target: str, wanted: float, gain: Callable[[float, float, float], Gain], ratio: TimedRatio
) -> LessonRow:
    """A ratio that is withheld because its rounds differ, where every one of them is on the same side of the target."""
    if ratio.smallest is None or ratio.largest is None:
        return _withheld(what, target, ratio.withheld or NOT_TIMED)
    ends = gain(ratio.smallest, ratio.smallest, ratio.largest)
    outcome = outcome_of(ends.low, ends.high, wanted)
    if outcome == "undecided":
        return _withheld(what, target, ratio.withheld or NOT_TIMED)
    measured = f"{ends.range} in each of {ratio.rounds} rounds, which differ by more than {MOST_SPREAD * 100:.0f} %"
    return LessonRow(what=what, target=target, measured=measured, outcome=outcome)


def _peaks(teacher: ModelSpeed, student: ModelSpeed) -> str:
    """The peaks of both, and the memory of the runtime, or of the two; "" if they are not known."""
    peaks = [model.memory.peak_bytes for model in (teacher, student)]
    if None in peaks:
        return ""
    models = [student] if student.engine == teacher.engine else [teacher, student]
    floors = [size(model.memory.floor_bytes) for model in models if model.memory.floor_bytes]
    over = f", over {'a runtime' if len(models) == 1 else 'runtimes'} of {' and '.join(floors)}" if floors else ""
    return f"; peak {size(peaks[0])} to {size(peaks[1])}{over}"


def _withheld(what: str, target: str, reason: str) -> LessonRow:
    return LessonRow(what=what, target=target, measured=reason, outcome="withheld")


def _change(share: float) -> str:
    return f"{percent(share)} lower" if share >= 0 else f"{percent(-share)} higher"
