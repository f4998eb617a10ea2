"""The preflight tries teacher and student together, before anything is made or asked."""

import pytest

from distill_dagster.config import ModelConfig
from distill_dagster.models.fitness import parts_of
from distill_dagster.training.pairing import values
from testing.models_tiny import LLAMA, write_model
from testing.projects import write_project
from tests.generation.test_project import write_api_project
from tests.preflight.test_look import errors, look_at

SIGNAL = {"teacher.logits": {"k": 4}, "student.training.signal": "logits", "student.training.max_length": 64}


def model(folder, name: str, vocab_size: int = 400) -> dict:
    settings = {**LLAMA, "max_position_embeddings": 128}
    write_model(folder / name, ModelConfig(architecture="llama", settings=settings, vocab_size=vocab_size))
    return {"name": name}


def found(path, **how):
    return [(r.state, r.found) for r in look_at(path, **how) if r.what == "pairing"]


@pytest.fixture
def project(tmp_path):
    def written(students: int, **changes):
        models = {"teacher.model": model(tmp_path, "teacher"), "student.model": model(tmp_path, "student", students)}
        return write_project(tmp_path, **{**models, **SIGNAL, **changes})

    return written


def test_the_teachers_tokenizer_is_found(project):
    assert found(project(400)) == [("ok", "the teacher's tokens")]


def test_another_tokenizer_is_named_by_a_text_and_both_lists_of_ids(project):
    path = project(300)
    for until in (None, "teacher_outputs", "teacher_model"):
        said = errors(path, until=until)
        assert list(said) == [("pairing", "student.model")]
        assert "to the teacher's tokenizer and [" in said["pairing", "student.model"]
        assert "`logits.across_tokenizers: alm`" in said["pairing", "student.model"]
    assert found(path, until="raw_dataset") == []
    assert [state for state, _ in found(path, whole=False)] == ["not checked"]


def test_across_tokenizers_and_text_take_it(project):
    alm = {"student.training.logits": {"across_tokenizers": "alm"}}
    assert found(project(300, **alm)) == [("ok", "aligned with the teacher's tokens by bytes")]
    text = project(300, **{"student.training.signal": "text"})
    assert found(text) == [("ok", "any teacher's text can be learned")]


def test_rows_that_are_shorter_than_the_answers_are_a_warning(project):
    path = project(400, **{"teacher.generation.max_new_tokens": 64})
    ((state, said),) = found(path)
    assert state == "warning"
    assert "`teacher.generation.max_new_tokens` is 64" in said


def test_each_tokenizer_is_opened_once_for_problems_and_warnings(project, monkeypatch):
    path, opened = project(400), []
    monkeypatch.setattr(values, "parts_of", lambda model, day: opened.append(model.name) or parts_of(model, day))
    assert [state for state, _ in found(path)] == ["ok"]
    assert len(opened) == len(set(opened)) == 2


def test_a_mistyped_student_is_found_before_the_teacher_answers(tmp_path, server):
    path = write_api_project(tmp_path, server, **{"student.model": {"name": "./no-such-student"}})
    for until in (None, "teacher_outputs"):
        said = errors(path, until=until)
        assert any("no-such-student does not exist" in words for words in said.values())
