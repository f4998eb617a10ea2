"""What the worker that judges a student takes, what it says, and the two documents that it keeps.

`ReleaseState` is release.json. `ReleaseDecision` is a line of releases.jsonl, which only grows (shortened):

    {"number": 7, "at": "2026-03-01T08:12:44+00:00", "who": "distill-dagster run (ada)", "student": "3f2a…",
     "outcome": "refused", "why": "against the released student 77b01d44e0aa: -1.2 points …",
     "against_champion": {"value": -0.012, "low": -0.031, "high": 0.006, "items": 400}, "champion": "77b0…",
     "margin": 0.01, "test": "c41d…", "looks": 5}

A student is named by the data version of its student_checkpoint.
"""

from typing import Literal

from pydantic import BaseModel

from distill_dagster.config import EvaluationConfig, ReleaseConfig, VerdictWord
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.store.result import Counts, Result, Spec

Outcome = Literal["promoted", "refused", "waiting", "approved", "rolled back"]


class ScoreDifference(BaseModel, frozen=True):
    """The mean score of one student minus that of another on the same items, and its 95 % interval."""

    value: float
    low: float
    high: float
    items: int

    def __str__(self) -> str:
        ends = f"95 % interval {100 * self.low:+.1f} to {100 * self.high:+.1f}, {self.items:,} items"
        return f"{100 * self.value:+.1f} points ({ends})"


class ReleaseDecision(BaseModel, frozen=True):
    """One decision about one student. Of `rolled back`, `student` is the one that is withdrawn."""

    number: int
    at: str  # ISO 8601, UTC
    who: str
    run_id: str | None = None
    student: str
    outcome: Outcome
    why: str
    verdict: VerdictWord | None = None  # of the student's retention
    against_champion: ScoreDifference | None = None
    against_first: ScoreDifference | None = None
    margin: float | None = None
    champion: str | None = None  # the released student after the decision
    test: str | None = None  # the data version of eval_dataset
    looks: int = 0  # students that were judged on that eval_dataset so far, this one included


class ReleaseState(BaseModel, frozen=True):
    """Which students are released, were released, and wait; `measured` says what their scores are comparable with."""

    first: str | None = None
    champions: list[str] = []  # newest first; the first of them is the released one
    waiting: str | None = None
    test: str | None = None
    measured: str | None = None  # hash of the held-out rows and of how the students were asked

    @property
    def champion(self) -> str | None:
        """The released student."""
        return self.champions[0] if self.champions else None

    @property
    def kept(self) -> list[str]:
        """Every student whose model is kept, the released one first."""
        return [student for student in dict.fromkeys([*self.champions, self.first, self.waiting]) if student]


class ReleaseSpec(Spec):
    """Judge one student; the worker writes the released student, the decisions and the scores into `out`."""

    student: str
    checkpoint: str  # the folder of student_checkpoint
    predictions: str  # the student's predictions.parquet
    report: str  # report.json
    test: str
    measured: str
    asks: BenchmarkSpec  # how the student was measured, to measure another one in the same way
    dtype: str  # in which a kept student answers
    unscored: list[str]  # kept students without scores on the present held-out rows
    earlier: str | None  # the folder of the release before
    release: ReleaseConfig
    problems: list[str] = []  # why the licences allow no release
    beside: dict[str, str] = {}  # path in the folder of the student's weights -> text, such as the model card
    evaluation: EvaluationConfig
    who: str
    run_id: str | None = None
    out: str

    @property
    def needs_device(self) -> bool:
        """Whether a model has to answer: one that was measured on other rows."""
        return bool(self.unscored)


class ReleaseCounts(Counts):
    """Decisions so far, students judged on the present held-out rows, students whose model is kept, and items."""

    decisions: int
    looks: int
    kept: int
    items: int


class ReleaseResult(Result[ReleaseCounts]):
    """What is released. The data version is that of the released student, so a refusal makes nothing else stale."""

    champion: str | None
    first: str | None
    waiting: str | None
    decision: ReleaseDecision | None  # the last one
