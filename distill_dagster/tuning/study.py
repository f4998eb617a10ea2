"""The study of a sweep: an SQLite file of Optuna, which its dashboard and other tools of Optuna read.

A killed sweep goes on from this file. A trial is added in one transaction with its point, so that it has all of its
settings or does not exist. Its point depends on the seed, its number and the trials before it, and on nothing that a
process remembers: a sweep that was killed draws the same points as one that was not.

    trial 7   point      drawn from (seed, 7) and trials 0 … 6
              losses     reported by its worker at evaluation 1, 2, …
              outcome    set when its worker returned, just before the trial ends in the study
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_dagster.config import SweepConfig
from distill_dagster.errors import TrainingError
from distill_dagster.training.record import ValidationLoss
from distill_dagster.tuning.points import distributions_of, draw, point_of
from distill_dagster.tuning.specs import Trial, TrialResult

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

NAME = "student_sweep"  # of the study in its file
OUTCOME = "outcome"
WAIT_S = 60.0  # for another process that writes


@contextlib.contextmanager
def open_study(path: Path, sweep: SweepConfig) -> Iterator["Study"]:
    """The study in a file, which is made if it is not there.

    Raises:
        TrainingError: Optuna is not installed.
    """
    try:
        import optuna
        import sqlalchemy
    except ImportError as e:
        raise TrainingError(
            "`student.sweep` needs Optuna, which is not installed: install `distill-dagster[tuning]`, or remove `sweep`"
        ) from e
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    engine = {  # the path is passed as it is: in a URL, `?` and `%` have a meaning
        "creator": lambda: sqlite3.connect(path, timeout=WAIT_S),
        "poolclass": sqlalchemy.pool.NullPool,
    }
    storage = optuna.storages.RDBStorage("sqlite:///study.db", engine_kwargs=engine)
    try:
        yield Study(storage, sweep)
    finally:
        storage.remove_session()
        storage.engine.dispose()


class Study:
    """The trials of a sweep, one after the other."""

    def __init__(self, storage: "optuna.storages.RDBStorage", sweep: SweepConfig) -> None:
        import optuna

        self._sweep, self._storage = sweep, storage
        self._study = optuna.create_study(
            study_name=NAME, storage=storage, direction="minimize", pruner=_pruner(sweep), load_if_exists=True
        )
        self._known: dict[int, Trial] = {}  # trials that have ended, which never change
        self._id = storage.get_study_id_from_name(NAME)

    @property
    def trials(self) -> list["FrozenTrial"]:
        """All trials in the order of their numbers; the last one may still run."""
        return self._study.get_trials(deepcopy=False)

    def begin(self) -> int | None:
        """The number of the trial to train: the one that runs already, or a new one; None if there are enough."""
        trials = self.trials
        if trials and not trials[-1].state.is_finished():
            return trials[-1].number
        return self._add(trials) if len(trials) < self._sweep.trials else None

    def point(self, number: int) -> dict[str, Any]:
        """The settings of a trial, such as {"learning_rate": 0.0002, "lora.rank": 16}."""
        return point_of(self.trials[number].params, self._sweep.space)

    def report(self, number: int, evaluation: int, loss: float) -> bool:
        """Record a validation loss; returns whether the trial should be pruned. The first report of a loss counts."""
        trial_id = self._trial_id(number)
        if evaluation not in self._storage.get_trial(trial_id).intermediate_values:
            self._storage.set_trial_intermediate_value(trial_id, evaluation, loss)
        return self._study.pruner.prune(self._study, self._storage.get_trial(trial_id))

    def same_as(self, number: int) -> int | None:
        """The first trial before this one that has the same point; None if there is none."""
        trials = self.trials
        return next((trial.number for trial in trials[:number] if trial.params == trials[number].params), None)

    def outcome(self, number: int) -> TrialResult | None:
        """What the worker of a trial returned; None if it has not."""
        said = self.trials[number].user_attrs.get(OUTCOME)
        return TrialResult.model_validate(said["result"]) if said else None

    def ended(self) -> list[Trial]:
        """The trials that have ended, in the order of their numbers."""
        for trial in self.trials:
            if trial.state.is_finished() and trial.number not in self._known:
                self._known[trial.number] = self._ended(trial)
        return list(self._known.values())

    def end(self, number: int, result: TrialResult, same_as: int | None = None) -> None:
        """Record what a trial did, and end it. A diverged trial counts as pruned, at the losses that it reported."""
        from optuna.trial import TrialState

        said = {"result": result.model_dump(mode="json"), "same_as": same_as}
        self._storage.set_trial_user_attr(self._trial_id(number), OUTCOME, said)
        if same_as is not None:
            self._copy_losses(number, same_as)
        if result.student:
            self._study.tell(number, kept_loss(result))
        else:
            self._study.tell(number, state=TrialState.PRUNED)

    def _ended(self, trial: "FrozenTrial") -> Trial:
        said = trial.user_attrs[OUTCOME]
        result, trained = TrialResult.model_validate(said["result"]), said["same_as"] is None
        usage = result.usage if trained else None
        return Trial(
            number=trial.number,
            outcome=result.outcome,
            point=point_of(trial.params, self._sweep.space),
            validation_loss=kept_loss(result),
            losses=[loss for _, loss in sorted(trial.intermediate_values.items())],
            steps=result.counts.steps if trained else 0,
            seconds=usage.seconds if usage else 0.0,
            gpu_seconds=usage.gpu_seconds if usage else 0.0,
            same_as=said["same_as"],
            why=result.why,
        )

    def _copy_losses(self, number: int, same_as: int) -> None:
        trial_id = self._trial_id(number)
        for evaluation, loss in self.trials[same_as].intermediate_values.items():
            self._storage.set_trial_intermediate_value(trial_id, evaluation, loss)

    def _add(self, trials: list["FrozenTrial"]) -> int:
        """Draw a point, and add a running trial that has it."""
        from optuna.trial import TrialState, create_trial

        distributions, params = distributions_of(self._sweep.space), draw(trials, self._sweep)
        self._study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=distributions))
        return len(trials)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


def kept_loss(result: TrialResult) -> float | None:
    """The validation loss of the weights that a complete trial kept; None for any other trial."""
    student = result.student
    if student is None or student.kept == "best":
        return student and student.best_validation_loss
    losses = [point.validation_loss for point in student.history if isinstance(point, ValidationLoss)]
    return losses[-1] if losses else None


def _pruner(sweep: SweepConfig) -> "optuna.pruners.BasePruner":
    import optuna

    pruner = sweep.pruner
    if pruner is None:
        return optuna.pruners.NopPruner()
    if pruner.kind == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=pruner.reduction)
    return optuna.pruners.MedianPruner(n_startup_trials=pruner.startup_trials, n_warmup_steps=pruner.warmup + 1)
