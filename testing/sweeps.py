"""Sweeps without models: trials whose worker makes its losses up, and the spec of a sweep that trains a tiny model."""

from collections.abc import Callable, Sequence
from pathlib import Path

from distill_dagster.config import StudentTrainingConfig, SweepConfig
from distill_dagster.models.ref import ModelRef
from distill_dagster.store import files
from distill_dagster.store.result import Usage
from distill_dagster.training.record import ValidationLoss
from distill_dagster.training.specs import TrainCounts, TrainResult, TrainSpec
from distill_dagster.tuning.specs import SweepSpec, TrialCounts, TrialResult, TrialSpec
from distill_dagster.tuning.study import open_study

SPACE = {"learning_rate": {"low": 1e-5, "high": 3e-2, "log": True}, "batch_size": [8, 16]}
TRAINING = StudentTrainingConfig(epochs=2, batch_size=8, evaluations=4, max_length=64, early_stopping_patience=None)
NO_MODEL = ModelRef(path="/models/none", name="none", revision="0")
USAGE = Usage(device="cpu", seconds=2.0, gpu_seconds=0.0, peak_memory_bytes=1)


def sweep_of(**changes) -> SweepConfig:
    """A sweep of 6 trials that prunes as soon as 2 are complete."""
    pruner = {"startup_trials": 2, "warmup": 0}
    settings = {"trials": 6, "startup_trials": 3, "space": SPACE, "pruner": pruner, **changes}
    return SweepConfig.model_validate(settings)


def sweep_spec(folder: Path, sweep: SweepConfig, base: ModelRef = NO_MODEL, examples: str = "", **changes) -> SweepSpec:
    """The spec of a sweep whose folders are in `folder`; `out` exists."""
    out, work = folder / "out", folder / "work"
    out.mkdir(parents=True, exist_ok=True)
    own = {"training": TRAINING, "examples": examples, "name": "tiny", "task": "qa"}
    train = TrainSpec(student_base=base, teacher=base, out=str(out), work=str(work), **own)
    return SweepSpec(sweep=sweep, train=train, out=str(out), work=str(work), **changes)


class Worker:
    """Takes the place of `train_trial`: reports the losses of a function, and writes a file for the student.

    The function gets a trial's training; None in its losses is a training that diverges there.
    """

    def __init__(self, losses: Callable[[StudentTrainingConfig], Sequence[float | None]]) -> None:
        self.losses, self.ran = losses, list[int]()

    def __call__(self, spec: TrialSpec) -> TrialResult:
        self.ran.append(spec.number)
        assert list(Path(spec.train.out).iterdir()) == []
        reported = list[float]()
        with open_study(Path(spec.study), spec.sweep) as study:
            for loss in self.losses(spec.train.training):
                if loss is None:
                    return self._ended("diverged", len(reported), why="the loss is nan")
                reported.append(loss)
                if study.report(spec.number, len(reported), loss):
                    return self._ended("pruned", len(reported))
        (Path(spec.train.out) / files.MODEL_FILE).write_text(f"student of trial {spec.number}")
        return self._ended("complete", len(reported), student=_student(spec, reported))

    def _ended(self, outcome, evaluations: int, **more) -> TrialResult:
        steps = TrialCounts(steps=10 * evaluations)
        return TrialResult(outcome=outcome, counts=steps, **more).with_usage(USAGE)


def _student(spec: TrialSpec, losses: Sequence[float]) -> TrainResult:
    history = [
        ValidationLoss(step=10 * (i + 1), validation_loss=loss, learning_rate=0.1) for i, loss in enumerate(losses)
    ]
    return TrainResult(
        data_version=f"weights of {spec.number}",
        counts=TrainCounts(train_rows=8, validation_rows=2),
        base="none",
        steps=10 * len(losses),
        history=history,
        best_validation_loss=min(losses),
        kept=spec.train.training.keep,
        training=spec.train.training.model_dump(mode="json"),
    )
