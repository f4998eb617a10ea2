"""onnxruntime-genai answers as the student does, and the builder works without a network."""

import json

import pytest

from distill_dagster.errors import ComputeError
from distill_dagster.models.fitness import open_parts
from distill_dagster.models.rendering import encode, render_prompt
from distill_dagster.release.export.gguf_vocabulary import template_of
from distill_dagster.release.export.onnx_answers import ask_onnx
from distill_dagster.release.export.onnx_folder import SETTINGS, build_onnx
from distill_dagster.release.export.specs import RuntimeSpec
from testing.exports_tiny import ODD_TEXTS, load_kind, own_answer, teach, write_kind
from testing.models_tiny import rows

pytestmark = pytest.mark.processes

NEW_TOKENS = 12


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """The folder of a student that has learned colours."""
    folder = tmp_path_factory.mktemp("taught")
    write_kind("tied", folder, intermediate_size=128)
    teach(folder)
    return folder


def built(model, work, precision):
    parts, out = open_parts(model, None), work / precision
    out.mkdir()
    how = {"precision": precision, "max_length": 200, "work": work}
    build_onnx(model, template_of(parts.tokenizer), parts.ends, out, **how)
    return parts, out


def asked(out, prompts):
    spec = RuntimeSpec(folder=str(out), prompts=prompts, max_new_tokens=NEW_TOKENS, max_length=200)
    return list(ask_onnx(spec))


def test_answers_at_fp32_are_those_of_transformers(taught, tmp_path):
    parts, out = built(taught, tmp_path, "fp32")
    model, prompts = load_kind(taught), [row["messages"] for row in rows(32)]
    for messages, answer in zip(prompts, asked(out, prompts), strict=True):
        assert answer.model_copy(update={"latency_ms": 0.0}) == own_answer(parts, model, messages, NEW_TOKENS)
    odd = [[{"role": "user", "content": text}] for text in ODD_TEXTS]
    for messages, answer in zip(odd, asked(out, odd), strict=True):
        assert answer.prompt == encode(parts.tokenizer, render_prompt(parts.tokenizer, messages)), messages
    settings = json.loads((out / SETTINGS).read_text())
    assert (settings["search"]["max_length"], settings["search"]["do_sample"]) == (200, False)
    assert settings["model"]["eos_token_id"] == parts.ends[0]


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_integers_answer_and_take_less_room(precision, taught, tmp_path):
    _, out = built(taught, tmp_path, precision)
    size = sum(file.stat().st_size for file in out.glob("model.onnx*"))
    assert size < (taught / "model.safetensors").stat().st_size
    questions = rows(32)
    found = asked(out, [[{"role": "user", "content": "x y " * 200}], *(row["messages"] for row in questions)])
    assert found[0].finish_reason == "error"
    assert sum(a.text == row["reference"][0] for a, row in zip(found[1:], questions, strict=True)) > 16


def test_a_builder_that_fails_is_a_clear_error(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(ComputeError, match=r"building int8 for onnxruntime-genai failed \(exit status 1\)"):
        build_onnx(tmp_path / "model", "", [1], tmp_path / "out", precision="int8", max_length=8, work=tmp_path)


def test_heads_of_other_sizes_fail_at_the_first_answer(tmp_path):
    """This is why `onnx_problem` refuses them: the builder does not."""
    write_kind("llama", tmp_path / "model", hidden_size=48)
    _, out = built(tmp_path / "model", tmp_path, "fp32")
    with pytest.raises(ComputeError, match=r"asking .* with onnxruntime-genai failed"):
        asked(out, [rows(1)[0]["messages"]])
