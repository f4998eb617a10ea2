"""A student that could not be exported is refused before it is trained, with the way out."""

import importlib.util
import re

import pytest

from distill_dagster.config import EXPORT_FORMATS
from testing.projects import TINY_LLAMA, write_project
from tests.preflight.looks import errors, look_at

OF = ("export", "export.formats")


def student(**changes) -> dict:
    return {"architecture": "llama", "settings": {**TINY_LLAMA, **changes}, "tokenizer": "teacher"}


def test_a_llama_student_can_be_exported_in_every_format(tmp_path):
    changes = {"export.formats": list(EXPORT_FORMATS), "student.model": student(hidden_size=64)}
    path = write_project(tmp_path, **changes)
    assert OF not in errors(path)
    assert [r.state for r in look_at(path, whole=True) if r.what == "export"] == ["ok"]
    assert [r.state for r in look_at(path, whole=False) if r.what == "export"] == ["not checked"]


@pytest.mark.parametrize(
    ("form", "model", "why"),
    [
        ("onnx_int8", student(hidden_size=48, num_attention_heads=4), "heads have 12 values, and .* multiple of 16"),
        ("onnx_fp32", student(hidden_size=96, num_attention_heads=4), "heads have 24 values, and .* multiple of 16"),
        ("onnx_int4", student(hidden_size=96, num_attention_heads=6), "hidden_size is 96, and int4 needs .* of 64"),
        ("onnx_fp32", {"architecture": "gpt2", "settings": {"n_embd": 32, "n_head": 2, "n_layer": 1}}, "it is gpt2"),
        ("gguf_f16", {"architecture": "gpt2", "settings": {"n_embd": 32, "n_head": 2, "n_layer": 1}}, "it is gpt2"),
        ("gguf_f16", student(hidden_act="gelu"), "activation gelu, not silu"),
    ],
)
def test_a_student_that_a_format_cannot_hold_is_refused(tmp_path, form, model, why):
    path = write_project(tmp_path, **{"export.formats": [form], "student.model": model})
    said = errors(path)[OF]
    assert said.startswith(f"`export.formats`: {form}: ")
    assert re.search(why, said), said


def test_nothing_is_looked_at_without_an_export(tmp_path):
    path = write_project(tmp_path, **{"student.model": student(hidden_size=48, num_attention_heads=4)})
    assert not [r for r in look_at(path, whole=True) if r.what == "export"]


@pytest.mark.parametrize(("form", "package"), [("gguf_q8_0", "xllamacpp"), ("onnx_int8", "onnxruntime_genai")])
def test_a_missing_runtime_is_named_with_its_extra(tmp_path, monkeypatch, form, package):
    path = write_project(tmp_path, **{"export.formats": [form]})
    real = importlib.util.find_spec
    assert ("package", f"student_export_{form}") not in errors(path, whole=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else real(name))
    assert "install `distill-dagster[export]`" in errors(path, whole=False)["package", f"student_export_{form}"]
