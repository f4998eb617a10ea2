"""Models that cannot be made, read or used are named by their field of the config."""

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.models.building import build, train_tokenizer
from distill_dagster.store import files
from testing.gguf_tiny import write_gguf
from testing.models_tiny import TINY, rows, write_model
from testing.projects import TINY_LLAMA, materialize_alone, write_project
from tests.preflight.looks import errors, look_at


@pytest.mark.parametrize(
    ("changes", "of", "words"),
    [
        ({"student.model.architecture": "lama"}, "student.model", "llama"),
        ({"student.model.settings": {**TINY_LLAMA, "hidden_sise": 8}}, "student.model", "did you mean hidden_size"),
        ({"student.model.settings": {**TINY_LLAMA, "num_attention_heads": 5}}, "student.model", "32"),
        ({"teacher.model.architecture": "gtp2"}, "teacher.model", "gpt2"),
        ({"student.model": {"name": "./no-such-student"}}, "student.model", "no-such-student does not exist"),
        ({"student.model": {"name": "no/such/name"}}, "student.model", "neither a folder nor a name"),
    ],
)
def test_a_model_that_cannot_be_made_is_named_by_its_field(tmp_path, changes, of, words):
    found = errors(write_project(tmp_path, **changes))
    assert list(found) == [("model", of)]
    assert words in found["model", of]


def test_a_folder_without_a_chat_template_and_a_torn_one_are_named(tmp_path):
    write_model(tmp_path / "mine")
    path = write_project(tmp_path, **{"student.model": {"name": "mine"}})
    assert not errors(path)
    (tmp_path / "mine/chat_template.jinja").unlink()
    assert "chat template" in errors(path, plans_memory=False)["model", "student.model"]
    weights = tmp_path / "mine/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "torn" in errors(path, whole=False)["model", "student.model"]


def test_models_that_do_not_fit_their_use_are_named_once(tmp_path, monkeypatch):
    write_model(tmp_path / "mine")
    path = write_project(tmp_path, **{"student.model": {"name": "mine"}, "student.training.max_length": 4096})
    (tmp_path / "mine/adapter_config.json").write_text('{"base_model_name_or_path": "maker/base"}')
    for whole in (True, False):
        found = errors(path, whole=whole)
        assert list(found) == [("model", "student.model")]
        assert found["model", "student.model"].count("an adapter of maker/base") == 1
    gpt2 = {"architecture": "gpt2", "settings": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}}
    found = errors(write_project(tmp_path / "new", **{"student.model": gpt2}), plans_memory=False)
    assert "has positions for 64 tokens: set `max_length: 64`" in found["model", "student.model"]


def test_a_gguf_file_is_looked_at_without_its_weights(tmp_path):
    tokenizer = train_tokenizer([m["content"] for row in rows(32) for m in row["messages"]], 400)
    write_gguf(build(TINY, tokenizer), tokenizer, tmp_path / "tiny.gguf", quantized=False)
    path = write_project(tmp_path, **{"teacher.model": {"name": "./tiny.gguf"}})
    assert not errors(path)
    states = {r.of: r.state for r in look_at(path, whole=False) if r.what == "model"}
    assert states["teacher.model"] == "not checked"
    (tmp_path / "tiny.gguf").write_bytes((tmp_path / "tiny.gguf").read_bytes()[:500])
    assert "cannot be dequantized" in errors(path, plans_memory=False)["model", "teacher.model"]


def test_a_published_model_whose_folder_is_gone_is_named(tmp_path, instance):
    write_model(tmp_path / "mine")
    path = write_project(tmp_path, **{"student.model": {"name": "mine"}})
    materialize_alone(load_config(path), instance, "student_base")
    ref = Project(load_config(path)).store.get("student_base").file(files.MODEL_FILE)
    ref.write_text(ref.read_text().replace(str(tmp_path / "mine"), str(tmp_path / "cache")))
    found = errors(path, whole=False)
    assert "cache is gone: restore it, or materialize student_base again" in found["model", "student_base"]


def test_rollouts_that_do_not_fit_the_students_context_are_found_before_a_run(tmp_path):
    write_model(tmp_path / "student")
    changes = {
        "teacher.model": {"name": str(tmp_path / "student")},
        "teacher.fit": None,
        "student.model": {"name": str(tmp_path / "student")},
        "student.training.signal": "on_policy",
        "student.training.max_length": 128,
        "student.training.on_policy": {"max_new_tokens": 128},
    }
    assert "does not fit" in errors(write_project(tmp_path, **changes), plans_memory=False)["model", "student.model"]
