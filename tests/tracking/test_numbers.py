"""What is sent is flat, finite and without secrets; tracking shapes no artefact."""

import pytest

from distill_dagster.config.reading import check_config
from distill_dagster.lineage.stages import STAGES
from distill_dagster.tracking.numbers import LONGEST, curve, numbers_of, parameters
from distill_dagster.training.record import StepLoss, ValidationLoss
from testing.projects import tiny_settings

MLFLOW = {"mlflow": {"uri": "http://127.0.0.1:5000"}}


def test_settings_are_flat_and_secrets_are_replaced():
    settings = {
        "student": {"training": {"epochs": 3, "betas": [0.9, 0.99]}, "lora": {}},
        "name": "sk-proj-" + "a1B2c3D4" * 4,
        "long": "x" * 1000,
    }
    assert parameters(settings) == {
        "student.training.epochs": "3",
        "student.training.betas": "[0.9, 0.99]",
        "student.lora": "{}",
        "name": "[api_key]",
        "long": "x" * LONGEST,
    }


def test_points_are_finite_numbers_without_their_step():
    assert numbers_of({"step": 3, "loss": 0.5, "mfu": float("nan")}) == {"loss": 0.5}
    history = [
        StepLoss(step=10, loss=2.0, learning_rate=0.1),
        ValidationLoss(step=20, validation_loss=1.0, learning_rate=0),
    ]
    assert curve(history) == [
        {"step": 10, "loss": 2.0, "learning_rate": 0.1},
        {"step": 20, "validation_loss": 1.0, "learning_rate": 0},
    ]


@pytest.mark.parametrize("name", STAGES)
def test_tracking_shapes_no_stage(name):
    without, tracked = (check_config(tiny_settings(**more), "a test") for more in ({}, {"tracking": MLFLOW}))
    if STAGES[name].wanted(without):
        assert STAGES[name].shaped_by(tracked) == STAGES[name].shaped_by(without)
