"""A GGUF file is dequantized into an ordinary model's folder, which answers and trains."""

from pathlib import Path

import pytest
import torch

from distill_dagster.config import ModelConfig, TeacherSource
from distill_dagster.errors import ModelError
from distill_dagster.models.building import build, train_tokenizer
from distill_dagster.models.decoding import complete
from distill_dagster.models.fitness import Use, problems
from distill_dagster.models.gguf_file import gguf_of
from distill_dagster.models.loading import load, open_model
from distill_dagster.models.ref import read_ref
from distill_dagster.models.rendering import encode, render_prompt
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.store.disk import file_sha256
from distill_dagster.training.prepare import prepare_model
from distill_dagster.training.specs import PrepareSpec
from testing.gguf_tiny import write_gguf
from testing.models_tiny import COLOURS, TINY, rows

TEXTS = [m["content"] for row in rows(32) for m in row["messages"]] + list(COLOURS)
MESSAGES = rows(1)[0]["messages"]


@pytest.fixture(scope="module")
def original():
    tokenizer = train_tokenizer(TEXTS, 400)
    return build(TINY, tokenizer).eval(), tokenizer


@pytest.fixture(params=[True, False], ids=["blocks", "floats"])
def file(request, tmp_path, original) -> Path:
    (tmp_path / "models").mkdir()
    write_gguf(*original, tmp_path / "models" / "tiny.gguf", quantized=request.param)
    return tmp_path / "models" / "tiny.gguf"


def prepared(name: Path, out: Path, **changes):
    out.mkdir()
    spec = PrepareSpec(
        **{"role": "student", "model": ModelConfig(name=str(name)), "out": str(out), "work": str(out), **changes}
    )
    return prepare_model(spec, "cpu")


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_file_becomes_a_model_that_gives_its_logits(file, tmp_path, original, named):
    result = prepared(file if named == "file" else file.parent, tmp_path / "out")
    ref, (model, tokenizer) = read_ref(tmp_path / "out"), original
    assert (result.origin, result.name) == ("dequantized", "tiny")
    assert ref.path == str(tmp_path / "out" / "model")
    ids = encode(tokenizer, render_prompt(tokenizer, MESSAGES))
    own = open_tokenizer(Path(ref.path))
    assert encode(own, render_prompt(own, MESSAGES)) == ids
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0]  # (T, V)
        got = open_model(Path(ref.path), "float32")(torch.tensor([ids])).logits[0]
    assert torch.allclose(got, expected, atol=0.02)  # the blocks' own error
    made = complete(load(ref, "cpu"), [MESSAGES], max_new_tokens=4, batch_tokens=500)
    assert made[0].error_code is None


def test_the_same_file_is_the_same_model_and_a_changed_one_is_refused_if_pinned(file, tmp_path):
    first = prepared(file, tmp_path / "one").data_version
    assert prepared(file, tmp_path / "two").data_version == first
    pinned = ModelConfig(name=str(file), revision=file_sha256(file))
    assert prepared(file, tmp_path / "three", model=pinned).data_version == first
    with pytest.raises(ModelError, match="is pinned to revision abc and hashes to"):
        prepared(file, tmp_path / "four", model=ModelConfig(name=str(file), revision="abc"))


def test_a_file_is_checked_without_its_weights(file):
    model = ModelConfig(name=str(file))
    assert problems(model, Use(trains=True, max_length=64, new_tokens=8)) == []
    assert "context of 128 tokens" in problems(model, Use(new_tokens=128))[0]
    file.write_bytes(file.read_bytes()[:500])
    assert "cannot be dequantized" in problems(model, Use())[0]


def test_one_of_several_files_has_to_be_named(file):
    (file.parent / "other.gguf").write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match=r"holds 2 GGUF files, such as other.gguf, tiny.gguf: set `model.name` to one"):
        gguf_of(str(file.parent))
    with pytest.raises(ModelError, match="does not exist"):
        gguf_of(str(file.parent / "gone.gguf"))
    assert gguf_of("Qwen/Qwen2.5-0.5B") is None


def test_one_of_several_teachers_cannot_be_a_file(file, tmp_path):
    with pytest.raises(ModelError, match=r"only `teacher.model` and `student.model` can name"):
        prepared(
            file,
            tmp_path / "out",
            role="teacher",
            model=None,
            sources=[(1.0, TeacherSource(model=ModelConfig(name=str(file))))],
        )
