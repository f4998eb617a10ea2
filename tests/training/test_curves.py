"""The curves of a training: TensorBoard reads them without a break or a return, also after a kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distill_dagster.config import StudentTrainingConfig
from distill_dagster.progress import listen_to_points
from distill_dagster.training.curves import MOST_POINTS
from distill_dagster.training.record import StepLoss, ValidationLoss
from distill_dagster.training.specs import TrainSpec
from distill_dagster.training.student import train_student
from testing.models_tiny import write_examples, write_model

pytestmark = pytest.mark.processes

NAMES = {"loss", "validation_loss", "learning_rate", "gradient_norm", "tokens_per_second"}
TRAINING = StudentTrainingConfig(
    learning_rate=5e-3, epochs=4, batch_size=8, evaluations=4, max_length=64, early_stopping_patience=None
)


@pytest.fixture
def spec_of(tmp_path):
    """A training of 32 steps, or of more epochs."""
    base, examples = write_model(tmp_path / "base"), write_examples(tmp_path / "examples.parquet")

    def spec(name="out", **training):
        (tmp_path / name).mkdir(exist_ok=True)
        paths = {"out": str(tmp_path / name), "work": str(tmp_path / "work"), "tensorboard": str(tmp_path / "curves")}
        given = TRAINING.model_copy(update=training)
        models = {"student_base": base, "teacher": base}
        return TrainSpec(**models, task="nli", training=given, examples=str(examples), name="tiny", **paths)

    return spec


def curves(folder):
    """What TensorBoard shows: name -> [(step, number)]."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return {name: [(event.step, event.value) for event in read.Scalars(name)] for name in read.Tags()["scalars"]}


def test_tensorboard_shows_every_point_of_the_history(spec_of):
    spec = spec_of()
    result = train_student(spec, "cpu")
    shown = curves(spec.tensorboard)
    assert set(shown) == NAMES
    history = json.loads((Path(spec.out) / "history.json").read_text())
    for name in NAMES - {"learning_rate"}:
        points = [(point["step"], point[name]) for point in history if name in point]
        assert [step for step, _ in shown[name]] == [step for step, _ in points]
        assert [number for _, number in shown[name]] == pytest.approx([number for _, number in points], rel=1e-6)
    assert [step for step, _ in shown["learning_rate"]] == list(range(1, 33))
    assert len(shown["validation_loss"]) == 4
    assert result.counts.steps == 32


KILLED = """
import os, signal, sys
from distill_dagster.progress import listen
from distill_dagster.training.specs import TrainSpec
from distill_dagster.training.student import train_student

def listener(progress):
    if progress.done == 20:
        os.kill(os.getpid(), signal.SIGKILL)

with listen(listener):
    train_student(TrainSpec.model_validate_json(sys.argv[1]), "cpu")
"""


def test_a_killed_training_has_its_curve_and_goes_on_with_it(spec_of):
    """Checkpoints are at the steps 8 and 16, so the steps 17 to 19 are taken twice and shown once."""
    spec = spec_of()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.run([sys.executable, "-c", KILLED, spec.model_dump_json()], env=env, check=False)
    assert child.returncode == -signal.SIGKILL
    before = curves(spec.tensorboard)
    assert [step for step, _ in before["loss"]] == list(range(1, 20))
    assert train_student(spec, "cpu").resumed_from_step == 16
    assert len(list(Path(spec.tensorboard).iterdir())) == 2
    after = curves(spec.tensorboard)
    assert [step for step, _ in after["loss"]] == list(range(1, 33))
    assert after["loss"][:19] == before["loss"]
    assert [step for step, _ in after["validation_loss"]] == [8, 16, 24, 32]


def test_a_training_that_starts_over_shows_its_own_curve_alone(spec_of):
    for name in ("one", "two"):
        spec = spec_of(name)
        train_student(spec.model_copy(update={"work": str(Path(spec.out) / "work")}), "cpu")
    assert [step for step, _ in curves(spec.tensorboard)["loss"]] == list(range(1, 33))


def points_of(spec):
    seen = []
    with listen_to_points(seen.append):
        result = train_student(spec, "cpu")
    return seen, result


def test_points_hold_the_numbers_of_their_step(spec_of):
    seen, result = points_of(spec_of())
    assert [point["step"] for point in seen] == list(range(1, 33))
    losses = {point.step: point.loss for point in result.history if isinstance(point, StepLoss)}
    validation = {point.step: point.validation_loss for point in result.history if isinstance(point, ValidationLoss)}
    assert {point["step"]: point["loss"] for point in seen} == losses
    assert {point["step"]: point["validation_loss"] for point in seen if "validation_loss" in point} == validation
    assert all(NAMES - {"validation_loss"} <= point.keys() for point in seen)


def test_a_long_training_reports_about_a_hundred_points(spec_of):
    seen, result = points_of(spec_of(epochs=16, evaluations=64))
    assert result.counts.steps == 128
    of_validation = [point["step"] for point in seen if "validation_loss" in point]
    assert MOST_POINTS / 2 <= len(of_validation) <= MOST_POINTS + 1
    assert MOST_POINTS <= len(seen) <= 2 * MOST_POINTS + 2
    assert [point["step"] for point in seen] == sorted(point["step"] for point in seen)


def test_a_training_that_nobody_watches_writes_no_curves(spec_of, tmp_path):
    train_student(spec_of().model_copy(update={"tensorboard": None}), "cpu")
    assert not (tmp_path / "curves").exists()
