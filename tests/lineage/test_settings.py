"""Which settings shape which stage."""

import pytest

from distill_dagster.config import StudentTrainingConfig, TrainingConfig
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.stages import STAGES
from testing.projects import write_project


def shaped(path) -> dict:
    config = load_config(path)
    return {name: stage.shaped_by(config) for name, stage in STAGES.items()}


def test_a_date_shapes_the_models_and_no_date_shapes_nothing(tmp_path):
    without = shaped(write_project(tmp_path / "a"))
    dated = shaped(write_project(tmp_path / "b", prompt_date="2025-03-04"))
    assert not any("prompt_date" in settings for settings in without.values())
    changed = {name for name, settings in dated.items() if "prompt_date" in settings}
    assert changed == {"teacher_model", "student_base"}
    assert dated["student_base"]["prompt_date"] == "2025-03-04"


def test_a_file_that_is_a_model_is_noticed_when_it_is_replaced(tmp_path):
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"one")
    path = write_project(tmp_path, **{"student.model": {"name": str(file)}})
    before = shaped(path)["student_base"]
    file.write_bytes(b"another")
    assert shaped(path)["student_base"] != before


def test_how_a_student_is_released_makes_nothing_stale_that_it_is_made_from(tmp_path):
    release = {"name": "Llama-intents", "i_have_checked_the_licence": True}
    without, released = shaped(write_project(tmp_path / "a")), shaped(write_project(tmp_path / "b", release=release))
    made_from = [name for name in STAGES if not name.startswith("released")]
    assert {name: released[name] for name in made_from} == {name: without[name] for name in made_from}


TRAININGS = ("student.training", "teacher.fit")


def test_lora_shapes_the_training_and_without_it_no_fingerprint_knows_it(tmp_path):
    changes = {f"{where}.lora": {"rank": 4} for where in TRAININGS}
    without, adapted = shaped(write_project(tmp_path / "a")), shaped(write_project(tmp_path / "b", **changes))
    assert "lora" not in without["student_checkpoint"]["training"]
    assert "lora" not in without["teacher_model"]["fit"]
    assert adapted["student_checkpoint"]["training"]["lora"]["rank"] == 4
    assert adapted["teacher_model"]["fit"]["lora"]["rank"] == 4


def test_checkpointing_shapes_nothing_and_precision_does(tmp_path):
    def changed(name, field, value):
        return shaped(write_project(tmp_path / name, **{f"{where}.{field}": value for where in TRAININGS}))

    plain = shaped(write_project(tmp_path / "plain", **{f"{where}.weights": "float32" for where in TRAININGS}))
    for field, value in (("weights", "bfloat16"), ("optimizer", "adafactor")):
        assert field not in plain["student_checkpoint"]["training"]
        other = changed(field, field, value)
        assert other["student_checkpoint"]["training"] == {**plain["student_checkpoint"]["training"], field: value}
        assert other["teacher_model"]["fit"] == {**plain["teacher_model"]["fit"], field: value}
    saving = changed("saving", "gradient_checkpointing", True)
    assert saving["student_checkpoint"] == plain["student_checkpoint"]
    assert saving["teacher_model"]["fit"] == plain["teacher_model"]["fit"]


@pytest.mark.parametrize(
    ("signal", "own"),
    [
        ("text", set()),
        ("logits", {"signal", "logits"}),
        ("hidden", {"signal", "hidden"}),
        ("on_policy", {"signal", "on_policy"}),
    ],
)
def test_a_training_is_shaped_by_its_own_signal_alone(signal, own):
    """So a store keeps its student when a later version adds a signal."""
    assert StudentTrainingConfig(signal=signal).shaping.keys() - TrainingConfig().shaping.keys() == own
