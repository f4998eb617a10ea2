"""A sweep: trial after trial until there are enough, then the student of the best one.

    work/study.db           points, losses and outcomes
    work/training/          the checkpoints of the trial that runs, and the dataset
    work/students/7/        the student of the best complete trial so far

Each trial is a worker of its own, which gets its devices when it starts and gives them back when it ends. Who calls
`run_sweep` says how it runs. A killed sweep goes on with the trial that ran, from its last checkpoint.
"""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from distill_dagster.config import StudentTrainingConfig
from distill_dagster.config.space import Point
from distill_dagster.config.sweep import at, in_words
from distill_dagster.errors import ConfigError, TrainingError
from distill_dagster.store import files, hashing
from distill_dagster.store.result import Usage
from distill_dagster.training.specs import TrainResult
from distill_dagster.tuning.specs import Outcome, SweepCounts, SweepResult, SweepSpec, Trial, TrialResult, TrialSpec
from distill_dagster.tuning.study import Study, open_study
from distill_dagster.tuning.table import best_of, by_loss, read_trials, write_trials

RunTrial = Callable[[TrialSpec], TrialResult]
STUDENTS = "students"
MOST_TRIALS = 100  # in the manifest
OF_THE_SWEEP = (files.STUDY_FILE, files.TRIALS_FILE)  # the other files of the artefact are the student's


def run_sweep(spec: SweepSpec, run_trial: RunTrial, say: Callable[[str], None] = lambda _: None) -> SweepResult:
    """Run the trials that the study lacks, and write trials.parquet, study.db and the best student into `spec.out`.

    `say` gets a line about each trial that ends.

    Raises:
        TrainingError: Optuna is not installed, every trial diverged, or no row can train.
    """
    work = Path(spec.work)
    work.mkdir(parents=True, exist_ok=True)
    if spec.earlier and not (work / files.STUDY_FILE).exists():
        _adopt(Path(spec.earlier), work)
    with open_study(work / files.STUDY_FILE, spec.sweep) as study:
        while (number := study.begin()) is not None:
            _end(spec, study, number, run_trial)
            _keep_best(work, study)
            say(_line(study.ended(), spec.sweep.trials))
        trials = study.ended()
        outcomes = [outcome for trial in trials if (outcome := study.outcome(trial.number))]
    best = best_of(trials)
    student = outcomes[best.number].student if best else None
    if best is None or student is None:
        raise TrainingError(_all_diverged(trials))
    _write(Path(spec.out), work, best, trials)
    return _result(best, student, trials).with_usage(_usage(trials, outcomes)).with_lease(outcomes[-1].leased)


def _adopt(earlier: Path, work: Path) -> None:
    """Start from the study and the student of a published sweep; its study comes last, and all at once."""
    best = best_of(read_trials(earlier / files.TRIALS_FILE))
    assert best is not None, "a sweep is published if one of its trials is complete"
    student = work / STUDENTS / str(best.number)
    shutil.copytree(earlier, student, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*OF_THE_SWEEP))
    copy = work / f"{files.STUDY_FILE}.copy"
    shutil.copyfile(earlier / files.STUDY_FILE, copy)
    copy.replace(work / files.STUDY_FILE)


def _end(spec: SweepSpec, study: Study, number: int, run_trial: RunTrial) -> None:
    """Let a trial end: by its worker, or as the earlier one that had its point."""
    same_as = study.same_as(number)
    known = study.outcome(number if same_as is None else same_as)  # of its worker, if the sweep was killed since
    study.end(number, known or run_trial(_trial(spec, study, number)), same_as)


def _trial(spec: SweepSpec, study: Study, number: int) -> TrialSpec:
    """What the worker of a trial takes; the folder of its student is empty."""
    work = Path(spec.work)
    student = work / STUDENTS / str(number)
    shutil.rmtree(student, ignore_errors=True)
    student.mkdir(parents=True)
    train = {
        "training": _training(spec, study.point(number)),
        "out": str(student),
        "work": str(work / "training"),
        "trial": number,
        "tensorboard": spec.train.tensorboard and f"{spec.train.tensorboard}-trial-{number}",
    }
    return TrialSpec(
        train=spec.train.model_copy(update=train),
        study=str(work / files.STUDY_FILE),
        sweep=spec.sweep,
        number=number,
    )


def _training(spec: SweepSpec, point: Point) -> StudentTrainingConfig:
    try:
        return at(spec.train.training, point)
    except ValueError as e:
        raise ConfigError(str(e)) from e


def _keep_best(work: Path, study: Study) -> None:
    """Delete every student but that of the best trial so far."""
    best = best_of(study.ended())
    for folder in (work / STUDENTS).iterdir():
        if best is None or folder.name != str(best.number):
            shutil.rmtree(folder)


def _line(trials: list[Trial], total: int) -> str:
    """The trial that ended last, and the best one so far."""
    last, best = trials[-1], best_of(trials)
    loss = f", validation loss {last.validation_loss:.4g}" if last.validation_loss is not None else ""
    so_far = f"best so far: trial {best.number} with {best.validation_loss:.4g}" if best else "none is complete so far"
    return f"trial {last.number} ({len(trials)} of {total}): {last.outcome}{loss}, at {in_words(last.point)}; {so_far}"


def _all_diverged(trials: list[Trial]) -> str:
    return (
        f"all {len(trials)} trials of the sweep diverged, the first at {in_words(trials[0].point)}: {trials[0].why}. "
        "Search lower learning rates in `student.sweep.space`"
    )


def _write(out: Path, work: Path, best: Trial, trials: list[Trial]) -> None:
    shutil.copytree(work / STUDENTS / str(best.number), out, dirs_exist_ok=True)
    shutil.copyfile(work / files.STUDY_FILE, out / files.STUDY_FILE)
    write_trials(out / files.TRIALS_FILE, trials)


def _result(best: Trial, student: TrainResult, trials: list[Trial]) -> SweepResult:
    found = [trial.model_dump(mode="json", exclude={"seconds", "gpu_seconds"}) for trial in trials]
    by_outcome = Counter(trial.outcome for trial in trials)
    return SweepResult(
        data_version=hashing.sha256(hashing.canonical_json([student.data_version, found])),
        counts=SweepCounts(
            trials=len(trials),
            **{outcome: by_outcome[outcome] for outcome in get_args(Outcome)},
            repeated=sum(trial.same_as is not None for trial in trials),
            steps=sum(trial.steps for trial in trials),
        ),
        best=best.number,
        point=best.point,
        student=student,
        trials=by_loss(trials)[:MOST_TRIALS],
    )


def _usage(trials: list[Trial], outcomes: list[TrialResult]) -> Usage:
    """What all trials used together, on the device of the last one; the highest of their peaks."""
    usages = [outcome.usage for outcome in outcomes if outcome.usage]
    return usages[-1].model_copy(
        update={
            "seconds": round(sum(trial.seconds for trial in trials), 3),
            "gpu_seconds": round(sum(trial.gpu_seconds for trial in trials), 3),
            "peak_memory_bytes": max(usage.peak_memory_bytes for usage in usages),
        }
    )
