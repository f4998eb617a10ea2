"""Room on disk and in main memory, and folders that cannot be written."""

import pytest

from distill_dagster.config import ModelConfig
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.models.pinning import count_parameters
from distill_dagster.planning.steps import list_steps
from distill_dagster.preflight import devices, places
from distill_dagster.preflight.look import preflight
from distill_dagster.preflight.requirement import errors_of
from testing.models_tiny import write_model
from testing.projects import TINY_LLAMA, write_project
from tests.preflight.looks import errors


def test_too_little_main_memory_and_disk_are_named(tmp_path, monkeypatch):
    model = {**TINY_LLAMA, "hidden_size": 1024, "num_hidden_layers": 1}
    path = write_project(tmp_path, **{"student.model": {"architecture": "llama", "settings": model}})
    assert not errors(path)
    monkeypatch.setattr(devices, "main_memory_gb", lambda: 0.1)
    usage = type("Usage", (), {"free": 10_000_000})
    monkeypatch.setattr(places.shutil, "disk_usage", lambda folder: usage)
    assert {("memory", "student_checkpoint"), ("disk", "store")} <= set(errors(path))


@pytest.mark.parametrize(
    ("training", "room"),
    [
        ({}, 16),  # weights, a checkpoint's weights, AdamW's moments
        ({"weights": "bfloat16"}, 14),
        ({"optimizer": "adafactor"}, 8),
        ({"lora": {}}, 4),  # adapters are in the checkpoints
    ],
)
def test_the_room_on_disk_is_that_of_what_the_training_writes(tmp_path, monkeypatch, training, room):
    """The pinned teacher is 50 times as large as the student and takes no room at all."""
    teacher, student = ({**TINY_LLAMA, "hidden_size": size} for size in (512, 32))
    for name, settings in (("teacher", teacher), ("student", student)):
        write_model(tmp_path / name, ModelConfig(architecture="llama", settings=settings, vocab_size=400))
    models = {f"{name}.model": {"name": str(tmp_path / name)} for name in ("teacher", "student")}
    path = write_project(
        tmp_path, **{**models, "teacher.fit": None, **{f"student.training.{n}": v for n, v in training.items()}}
    )
    count = count_parameters(tmp_path / "student")
    for free, fits in ((room * count - 1, False), (room * count, True)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(places.shutil, "disk_usage", lambda folder, usage=usage: usage)
        assert (("disk", "store") not in errors(path, whole=False)) == fits


@pytest.mark.parametrize("whole", [True, False])
def test_a_store_or_home_that_cannot_be_written_is_named(tmp_path, monkeypatch, whole):
    look = Snapshot(Project(load_config(write_project(tmp_path, store="later/store"))))
    (tmp_path / "later").write_text("a file since the config was read")

    def found(name: str) -> str:
        requirements = preflight(look, list_steps(look), whole=whole, plans_memory=False)
        return next((r.found for r in errors_of(requirements) if (r.what, r.of) == ("write access", name)), "")

    assert "cannot be written" in found("store")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "later"))
    assert "cannot be written" in found("DAGSTER_HOME")
    monkeypatch.setenv("DAGSTER_HOME", "/proc/no-such-folder")
    assert not whole or "cannot be written" in found("DAGSTER_HOME")
