"""What a sweep would take: trials, and the optimizer steps between the shortest and the longest training of its space.

sweep: 16 trials of 120 to 960 steps, 15,360 at most; pruned trials take fewer; time: 2 h 5 min at most
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from distill_dagster.config import StudentTrainingConfig
from distill_dagster.errors import NotPublishedError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.sweeps import shorter_sweep
from distill_dagster.planning.steps import Step
from distill_dagster.progress import time_text
from distill_dagster.quality.specs import SetResult
from distill_dagster.training.batches import StepPlan
from distill_dagster.training.specs import TrainResult
from distill_dagster.tuning.specs import SweepResult


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """The trials that a run would add, and what each of them takes at least and at most."""

    trials: int
    rows: int  # training rows
    least_steps: int
    most_steps: int
    seconds: float | None  # of all trials at most; None: no training has run here yet

    @property
    def words(self) -> str:
        """The plan as a line."""
        steps = (
            f"{self.least_steps:,} to {self.most_steps:,}" if self.least_steps < self.most_steps else self.most_steps
        )
        time = f"{time_text(self.seconds)} at most" if self.seconds is not None else "not known"
        return (
            f"sweep: {self.trials:,} trials of {steps} steps, {self.trials * self.most_steps:,} at most; pruned trials "
            f"take fewer; time: {time}"
        )


def plan_sweep(look: Snapshot, steps: list[Step], source_rows: Callable[[], int], rules: list[str]) -> SweepPlan | None:
    """The plan of a sweep; None if there is none, or it is up to date.

    `source_rows` counts the training rows of the source files, for a set that is not made yet.
    """
    student, step = look.config.student, next((step for step in steps if step.asset == "student_sweep"), None)
    if student.sweep is None or step is None or step.is_fresh:
        return None
    made = look.find("validated_synthetic_set")
    rows = made.read(SetResult).counts.train if made else source_rows()
    rules.append(f"steps of a trial: {rows:,} {'rows of the present set' if made else 'source rows, none refused'}")
    trainings = student.trainings
    takes = [_steps(training, rows) for training in trainings]
    longest = max(training.epochs for training in trainings) * rows
    trials = student.sweep.trials - _known(look, step)
    speed = _seconds_a_row(look)
    seconds = None if speed is None else round(trials * longest * speed, 1)
    return SweepPlan(trials, rows, min(takes), max(takes), seconds)


def _known(look: Snapshot, step: Step) -> int:
    """Trials of a shorter sweep that is continued."""
    try:
        before = None if step.waits else shorter_sweep(look)
    except NotPublishedError:
        return 0
    return before.read(SweepResult).counts.trials if before else 0


def _steps(training: StudentTrainingConfig, rows: int) -> int:
    return StepPlan.of(training, math.ceil(rows / training.batch_size)).steps


def _seconds_a_row(look: Snapshot) -> float | None:
    """The time of one row in the last training of the student; None if there is none."""
    made = look.find("student_checkpoint")
    result = made.read(TrainResult) if made else None
    if result is None or not (result.seconds and result.steps and result.training):
        return None
    read = result.steps * result.training["batch_size"] * result.training["gradient_accumulation"]
    return result.seconds / read
