"""The last round's weights become the student, with the history of all rounds and their numbers."""

import json
import shutil
from pathlib import Path

import pytest

from distill_dagster.config import StudentTrainingConfig
from distill_dagster.errors import DataError
from distill_dagster.models.ref import read_ref, write_ref
from distill_dagster.store import files
from distill_dagster.training.record import EarlyStop, RoundRecord, StepLoss
from distill_dagster.training.specs import FinishedRound, TrainCounts, TrainResult, TrainSpec
from distill_dagster.training.student import train_student
from testing.models_tiny import TINY, write_model

TRAINING = StudentTrainingConfig(signal="on_policy")


def finished(root: Path, number: int, **result) -> FinishedRound:
    """A round of two steps, in a folder as a training leaves it."""

    folder = root / f"round-{number}"
    ref = write_model(folder / "model", TINY.model_copy(update={"seed": number}))
    write_ref(folder, ref)
    history = [StepLoss(step=step, loss=3.0 - number, learning_rate=0.1) for step in (1, 2)]
    (folder / files.HISTORY_FILE).write_text(json.dumps([point.model_dump() for point in history]))
    counts = TrainCounts(train_rows=8, validation_rows=2, steps=2)
    own = {"data_version": ref.revision, "counts": counts, "base": "b", "steps": 2, "history": history, "kept": "last"}
    record = RoundRecord(
        **{"round": number, "train_rows": 8, "steps": 2, "best_validation_loss": None, "seconds": 1.5},
        **({"rollouts": 6, "stop": 3, "length": 2, "repetition": 1, "rollout_rows": 4} if number else {}),
        gpu_seconds=0.5,
    )
    return FinishedRound(record=record, result=TrainResult(**{**own, "seconds": 1.0, **result}), folder=str(folder))


def spec_of(root: Path, rounds: list[FinishedRound]) -> TrainSpec:
    (root / "out").mkdir(exist_ok=True)
    base = write_model(root / "base")
    return TrainSpec(
        **{"student_base": base, "teacher": base, "training": TRAINING, "examples": "", "name": "own", "task": "qa"},
        **{"finished": rounds, "out": str(root / "out"), "work": str(root / "work")},
    )


def test_the_last_students_weights_are_published_with_the_story_of_all_rounds(tmp_path):
    rounds = [finished(tmp_path, number, launchpad={"epochs": 9} if number == 1 else {}) for number in range(3)]
    spec = spec_of(tmp_path, rounds)
    assert not spec.needs_device
    result = train_student(spec, "cpu")
    out = tmp_path / "out"
    ref = read_ref(out)
    assert result.data_version == ref.revision == rounds[2].result.data_version
    assert (ref.name, ref.path) == ("own", str(out / "model"))
    assert (out / "model" / "model.safetensors").read_bytes() == (
        Path(rounds[2].folder) / "model" / "model.safetensors"
    ).read_bytes()
    history = json.loads((out / files.HISTORY_FILE).read_text())
    assert [(point["step"], point["loss"]) for point in history] == [(1, 3), (2, 3), (3, 2), (4, 2), (5, 1), (6, 1)]
    assert result.steps == result.counts.steps == 6
    counts = result.counts.model_dump()
    assert {name: counts[name] for name in counts if name.startswith("r")} == {
        **{"rounds": 2, "rollouts": 12, "rollouts_stop": 6, "rollouts_length": 4, "rollouts_repetition": 2},
    }
    assert result.launchpad == {"epochs of round 1": 9}
    assert result.training["loss"] == TRAINING.loss
    card = (out / "model" / "README.md").read_text()
    assert "| 2 | 6 | 3 | 2 | 1 | 8 | 4 | 2 |  | 1.5 | 0.5 |" in card
    assert result.parts()[1]["rounds"][1]["repetition"] == 1
    assert result.stopped is None


def test_the_early_stop_of_the_last_round_is_counted_on_from_the_rounds_before(tmp_path):
    losses = {"validation_loss": 1.2, "best_validation_loss": 1.1}
    steps = {"step": 2, "planned": 9, "best_step": 1, "kept_step": 1}
    stops = [EarlyStop(reason="overfitting", **steps, **losses) for _ in range(2)]
    rounds = [finished(tmp_path, 0, stopped=stops[0]), finished(tmp_path, 1), finished(tmp_path, 2, stopped=stops[1])]
    result = train_student(spec_of(tmp_path, rounds), "cpu")
    stop = result.stopped
    assert (stop.step, stop.planned, stop.best_step, stop.kept_step) == (6, 13, 5, 5)


def test_a_round_whose_files_are_gone_is_named(tmp_path):
    rounds = [finished(tmp_path, number) for number in range(2)]
    (Path(rounds[0].folder) / files.HISTORY_FILE).unlink()
    with pytest.raises(DataError, match=r"round-0/history\.json is gone: materialize student_round_0 again"):
        train_student(spec_of(tmp_path, rounds), "cpu")
    (Path(rounds[0].folder) / files.HISTORY_FILE).write_text("[]")
    shutil.rmtree(Path(rounds[1].folder) / files.WEIGHTS_FOLDER)
    with pytest.raises(DataError, match=r"round-1/model is gone: materialize student_round_1 again"):
        train_student(spec_of(tmp_path, rounds), "cpu")
