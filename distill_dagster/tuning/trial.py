"""The worker of a trial: a training of the student that reports each validation loss to the study, and may be pruned.

Trials differ in their steps, so a loss is reported under the share of the training that is done, in evaluations:

    evaluations 8, step 14 of 50       2, which is a quarter of the training in all trials
    evaluations 8, step 1 of 3         2
"""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from distill_dagster.errors import DivergedError, TrainingError
from distill_dagster.ranks import group
from distill_dagster.training.student import train_student
from distill_dagster.tuning.specs import TrialCounts, TrialResult, TrialSpec
from distill_dagster.tuning.study import Study, kept_loss, open_study


class Pruned(Exception):
    """Ends the training of a trial that is pruned."""


def train_trial(spec: TrialSpec, device: str) -> TrialResult:
    """Train with the settings of the trial; a student is written into `spec.train.out` if it is not pruned.

    Raises:
        TrainingError: no row can train, or no validation row can be read.
    """
    with open_study(Path(spec.study), spec.sweep) as study:
        watch = Report(study, spec.number, spec.train.training.evaluations)
        try:
            student = train_student(spec.train, device, callbacks=[watch])
        except Pruned:
            return TrialResult(outcome="pruned", counts=TrialCounts(steps=watch.step))
        except DivergedError as e:
            return TrialResult(outcome="diverged", counts=TrialCounts(steps=watch.step), why=str(e))
    result = TrialResult(outcome="complete", counts=TrialCounts(steps=student.steps), student=student)
    if kept_loss(result) is None:
        raise TrainingError(
            "trials are compared by their validation losses, and 0 validation rows can be read (see `too_long` and "
            "`E015`): raise `max_length`, or add validation rows"
        )
    return result


class Report(TrainerCallback):
    """Reports validation losses to the study, and ends the training if the study prunes the trial."""

    def __init__(self, study: Study, number: int, evaluations: int) -> None:
        self.study, self.number, self.evaluations, self.step = study, number, evaluations, 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.step = state.global_step

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        evaluation = state.global_step * self.evaluations // state.max_steps
        loss = kwargs["metrics"]["eval_loss"]
        is_pruned = group.of_first(lambda: self.study.report(self.number, evaluation, loss))
        if is_pruned and state.global_step < state.max_steps:  # at its last step it is done anyway
            raise Pruned
