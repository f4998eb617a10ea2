"""A training that was killed goes on from its checkpoint to the same weights, and takes none of another training."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distill_dagster.config import StudentTrainingConfig
from distill_dagster.training.student import train_student
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import rows, without_speed, write_model
from testing.tiny_training import TRAINING, dropping, imitating

pytestmark = pytest.mark.processes


def test_the_same_spec_gives_the_same_weights(spec_of, tmp_path):
    first = train_student(spec_of("one", work=str(tmp_path / "w1")), "cpu")
    assert train_student(spec_of("two", work=str(tmp_path / "w2")), "cpu").data_version == first.data_version


KILLED = """
import os, signal, sys
from pathlib import Path
from distill_dagster.progress import listen
from distill_dagster.training.specs import TrainSpec
from distill_dagster.training.student import train_student

spec = TrainSpec.model_validate_json(sys.argv[1])

def listener(progress):
    if list(Path(spec.work).glob("runs/*/checkpoint-*/complete.json")):
        os.kill(os.getpid(), signal.SIGKILL)

with listen(listener):
    train_student(spec, "cpu")
"""


@pytest.mark.parametrize("hidden", [None, {"alpha": 0.2, "distance": "mse", "relations": {"heads": 8}}])
def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_weights(spec_of, tmp_path, hidden):
    """With `hidden`, the projections and their share of the optimizer are resumed too."""
    given = {} if hidden is None else imitating(tmp_path, **hidden)
    whole = train_student(spec_of("whole", work=str(tmp_path / "whole-work"), **given), "cpu")
    spec = spec_of("killed", **given)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.run([sys.executable, "-c", KILLED, spec.model_dump_json()], env=env, check=False)
    assert child.returncode == -signal.SIGKILL
    assert not list(Path(spec.out).iterdir())
    (run,) = Path(spec.work, "runs").iterdir()
    torn = run / "checkpoint-30"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    resumed = train_student(spec, "cpu")
    assert resumed.resumed_from_step == 6
    assert whole.resumed_from_step == 0
    assert resumed.data_version == whole.data_version
    assert without_speed(resumed.history) == without_speed(whole.history)


def test_another_teacher_makes_another_student_and_takes_no_checkpoint_of_the_first(spec_of, tmp_path):
    given = imitating(tmp_path)
    first = train_student(spec_of("one", **given), "cpu")
    other = write_model(tmp_path / "other", dropping().model_copy(update={"seed": 9}))
    second = train_student(spec_of("two", **{**given, "teacher": other}), "cpu")
    assert second.resumed_from_step == 0
    assert second.data_version != first.data_version


def test_other_distributions_of_the_same_answers_take_no_checkpoint_of_the_first(spec_of, tmp_path):
    """The rows, their places and the config are the same."""
    training, versions = StudentTrainingConfig(**{**TRAINING.model_dump(), "signal": "logits"}), []
    for seed in (1, 2):
        folder = tmp_path / f"teacher-{seed}"
        teacher = write_model(folder, dropping().model_copy(update={"seed": seed}))
        answers = [teacher_row(teacher, row["row_id"], row["reference"][0]) for row in rows(64)]
        capture(folder, teacher, rows(64), answers)
        given = {"teacher": teacher, "logits": [str(folder / "logits.parquet")]}
        result = train_student(spec_of(f"student-{seed}", training, **given), "cpu")
        assert result.resumed_from_step == 0
        versions.append(result.data_version)
    assert versions[0] != versions[1]


def test_a_checkpoint_of_another_config_is_not_taken(spec_of, tmp_path):
    train_student(spec_of("one"), "cpu")
    other = TRAINING.model_copy(update={"learning_rate": 4e-3})
    assert train_student(spec_of("two", other), "cpu").resumed_from_step == 0
