"""Specs of tiny trainings."""

import pytest

from distill_dagster.training.specs import TrainSpec
from testing.models_tiny import write_examples, write_model
from testing.tiny_training import TRAINING, dropping


@pytest.fixture
def spec_of(tmp_path):
    """A spec to train a tiny model with dropout, so that the random state matters; its `out` exists."""
    base = write_model(tmp_path / "base", dropping())
    examples = write_examples(tmp_path / "examples.parquet")

    def spec(name, training=TRAINING, **changes):
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        wanted = {
            "student_base": base,
            "teacher": base,
            "task": "nli",
            "training": training,
            "examples": examples,
            "name": "tiny",
            "work": str(tmp_path / "work"),
        }
        return TrainSpec(**{**wanted, "out": str(out), **changes})

    return spec
