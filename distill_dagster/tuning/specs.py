"""What a sweep and the worker of one of its trials take, and what they return.

    TrialSpec   ->  train_trial  ->  TrialResult     one training, pruned or to its end
    SweepSpec   ->  run_sweep    ->  SweepResult     student_sweep

A trial's outcome is `complete`, `pruned` (stopped early), or `diverged` (its loss was no longer finite).
"""

from typing import Any, Literal, Self

from distill_dagster.config import SweepConfig
from distill_dagster.store.result import Counts, Result, Spec
from distill_dagster.training.record import Recorded
from distill_dagster.training.specs import TrainResult, TrainSpec

Outcome = Literal["complete", "pruned", "diverged"]


class TrialSpec(Spec):
    """Train with the settings of one trial, and report its validation losses to the study."""

    train: TrainSpec
    study: str  # the study's file
    sweep: SweepConfig
    number: int  # of the trial; the first one is 0

    @property
    def target(self) -> str:
        """That of the training."""
        return self.train.out

    def writing_to(self, folder: str) -> Self:
        """The same trial, whose training writes into another folder."""
        return self.model_copy(update={"train": self.train.writing_to(folder)})


class TrialCounts(Counts):
    """What a trial did."""

    steps: int


class TrialResult(Result[TrialCounts]):
    """How a trial ended. A complete one has a student in the `out` of its training."""

    data_version: str = ""  # a trial is not published
    outcome: Outcome
    student: TrainResult | None = None
    why: str | None = None  # of a trial that diverged


class Trial(Recorded):
    """A trial that has ended; a row of trials.parquet."""

    number: int
    outcome: Outcome
    point: dict[str, Any]  # the settings that were searched
    validation_loss: float | None = None  # of the weights that a complete trial kept
    losses: list[float] = []  # at each evaluation
    steps: int = 0
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    same_as: int | None = None  # the trial with the same point, whose outcome it has without a training
    why: str | None = None


class SweepSpec(Spec):
    """Try points of a space: trials.parquet, study.db, and the student of the best trial."""

    sweep: SweepConfig
    train: TrainSpec  # of every trial, except for the settings of its point
    earlier: str | None = None  # folder of the same sweep with fewer trials, which is continued
    out: str
    work: str


class SweepCounts(Counts):
    """Trials by their outcome, and the optimizer steps of all."""

    trials: int
    complete: int
    pruned: int
    diverged: int
    repeated: int  # trials among them that had the point of another one, and took no training
    steps: int


class SweepResult(Result[SweepCounts]):
    """The best trial, its student, and what the others did; trials.parquet has all of them."""

    best: int
    point: dict[str, Any]
    student: TrainResult
    trials: list[Trial]  # the best ones, in the order of their validation losses
