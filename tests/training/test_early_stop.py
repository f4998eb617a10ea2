"""A training that stopped early says why: overfitting if the training loss fell on, else no improvement."""

import pytest

from distill_dagster.training.early_stop import early_stop
from distill_dagster.training.record import StepLoss, TrainingRun, ValidationLoss


def history(validation, training):
    """Ten steps between evaluations, the training loss logged every five."""
    points = []
    for i, (measured, loss) in enumerate(zip(validation, training, strict=True)):
        points += [StepLoss(step=10 * i + at, loss=loss, learning_rate=1e-3) for at in (5, 10)]
        points.append(ValidationLoss(step=10 * i + 10, validation_loss=measured, learning_rate=1e-3))
    return points


OVERFITTED = history([1.4, 1.15, 1.2, 1.3], [1.5, 0.8, 0.6, 0.4])


def test_overfitting_names_the_steps_the_losses_and_the_kept_weights():
    stop = early_stop(OVERFITTED, 80, 2, keeps_best=True)
    assert stop.words == (
        "overfitting: stopped at step 40 of 80, where the validation loss is 1.3; it was lowest at step 20, 1.15, "
        "and since then the training loss fell; the weights of step 20 are kept"
    )
    assert early_stop(OVERFITTED, 80, 2, keeps_best=False).kept_step == 40


def test_it_is_not_overfitting_if_the_training_loss_does_not_fall():
    stop = early_stop(history([1.4, 1.15, 1.2, 1.3], [1.5, 0.8, 0.8, 0.9]), 80, 2, keeps_best=True)
    assert stop.reason == "no improvement"
    assert "the training loss did not fall either" in stop.words


@pytest.mark.parametrize(
    ("points", "planned", "patience"),
    [
        (OVERFITTED, 40, 2),  # it took all its steps
        (OVERFITTED, 80, 3),  # something else stopped it
        (OVERFITTED, 80, None),  # it never stops early
        (OVERFITTED[:2], 80, 2),  # there are no validation rows
    ],
)
def test_other_trainings_did_not_stop_early(points, planned, patience):
    assert early_stop(points, planned, patience, keeps_best=True) is None


def test_an_equal_loss_is_no_new_minimum():
    stop = early_stop(history([1.15, 1.15, 1.15], [0.8, 0.7, 0.6]), 80, 2, keeps_best=True)
    assert (stop.best_step, stop.step) == (10, 30)


def test_older_manifests_are_read_and_written_as_they_are():
    """Those of before had neither a stop nor speeds."""
    old = {"steps": 40, "history": [point.model_dump() for point in OVERFITTED], "kept": "best"}
    assert "stopped" not in TrainingRun(**old).model_dump()
    assert TrainingRun(**old).model_dump()["history"] == old["history"]
    assert set(old["history"][0]) == {"step", "loss", "learning_rate"}
