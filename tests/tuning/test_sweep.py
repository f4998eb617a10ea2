"""A sweep tries points of its space, prunes the poor ones, and goes on after a kill to the same best trial."""

from pathlib import Path

import pytest

from distill_dagster.config import StudentTrainingConfig, SweepConfig
from distill_dagster.training.specs import TrainSpec
from distill_dagster.tuning.specs import SweepSpec
from distill_dagster.tuning.sweep import run_sweep
from distill_dagster.workers import run_worker
from testing.models_tiny import write_examples, write_model

TRAINING = StudentTrainingConfig(epochs=2, batch_size=8, evaluations=4, max_length=64, early_stopping_patience=None)
SPACE = {"learning_rate": {"low": 1e-5, "high": 3e-2, "log": True}, "batch_size": [8, 16]}


def sweep_of(**changes) -> SweepConfig:
    pruner = {"startup_trials": 2, "warmup": 0}
    return SweepConfig.model_validate({"trials": 6, "startup_trials": 3, "space": SPACE, "pruner": pruner, **changes})


@pytest.fixture
def spec_of(tmp_path):
    """The spec of a sweep over a tiny student."""
    base, examples = write_model(tmp_path / "base"), write_examples(tmp_path / "examples.parquet")

    def spec(name="sweep", sweep=None, **changes) -> SweepSpec:
        out, work = tmp_path / name / "out", tmp_path / name / "work"
        for folder in (out, work):
            folder.mkdir(parents=True, exist_ok=True)
        own = {"training": TRAINING, "examples": examples, "name": "tiny", "task": "qa"}
        train = TrainSpec(student_base=base, teacher=base, out=str(out), work=str(work), **own)
        return SweepSpec(sweep=sweep or sweep_of(), train=train, out=str(out), work=str(work), **changes)

    return spec


def here(spec):
    return run_worker("train_trial", spec)


def test_try(spec_of):
    spec = spec_of()
    result = run_sweep(spec, here)
    for t in result.trials:
        print(t)
    print(result.counts, result.best, result.usage)
    print(list(Path(spec.out).iterdir()))
    assert 0
