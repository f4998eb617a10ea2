"""What a sweep could not try is found before anything is made: models, memory, packages."""

import importlib.util
import re

from testing.projects import TINY_LLAMA, write_project
from tests.preflight.looks import errors, look_at

BATCHES = {"batch_size": [1, 64]}
HIDDEN = {"student.training.signal": "hidden", "student.training.max_length": 64}


def test_layer_pairs_of_any_choice_are_looked_for_in_both_models(tmp_path):
    """The student has one layer, and the teacher two."""
    named = {"student.model.tokenizer": "teacher"}
    good = {"student.sweep": {"space": {"hidden": {"layers": [[[1, 1]], [[1, 2]]]}}}}
    assert errors(write_project(tmp_path / "good", **named, **HIDDEN, **good)) == {}
    bad = {"student.sweep": {"space": {"hidden": {"layers": [[[1, 1]], [[1, 3]]]}}}}
    (said,) = errors(write_project(tmp_path / "bad", **named, **HIDDEN, **bad)).items()
    assert said[0] == ("pairing", "student.model")
    assert re.search(r"\b3\b", said[1]), said


def test_the_memory_is_that_of_the_largest_batch(tmp_path):
    model = {**TINY_LLAMA, "hidden_size": 64}
    changes = {"student.model": {"architecture": "llama", "settings": model}, "student.training.max_length": 256}
    path = write_project(tmp_path, **changes, **{"student.sweep": {"space": BATCHES}})
    found = {r.of: r.found for r in look_at(path, whole=False, plans_memory=True) if r.what == "memory"}
    assert found["student_sweep"].startswith("the sweep at batch_size 64: peak")
    assert "for 64 rows of 256 tokens" in found["student_sweep"]
    assert "student_checkpoint" not in found, "it copies the student of the best trial"


def test_a_missing_optuna_is_named_with_its_extra(tmp_path, monkeypatch):
    path = write_project(tmp_path, **{"student.sweep": {"space": BATCHES}})
    real = importlib.util.find_spec
    assert ("package", "student_sweep") not in errors(path, whole=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna" else real(name))
    assert "install `distill-dagster[tuning]`" in errors(path, whole=False)["package", "student_sweep"]
