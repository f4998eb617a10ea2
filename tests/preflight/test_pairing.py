"""The preflight tries teacher and student together, before anything is made or asked."""

import pytest

from distill_dagster.config import ModelConfig
from distill_dagster.models.building import sketch
from distill_dagster.models.fitness import parts_of
from distill_dagster.training.pairing import values
from testing.api_project import write_api_project
from testing.models_tiny import LLAMA, TINY, write_model
from testing.projects import TINY_LLAMA, write_project
from tests.preflight.looks import errors, look_at

SIGNAL = {"teacher.logits": {"k": 4}, "student.training.signal": "logits", "student.training.max_length": 64}


def model(folder, name: str, vocab_size: int = 400) -> dict:
    settings = {**LLAMA, "max_position_embeddings": 128}
    write_model(folder / name, ModelConfig(architecture="llama", settings=settings, vocab_size=vocab_size))
    return {"name": name}


def found(path, **how):
    return [(r.state, r.found) for r in look_at(path, plans_memory=False, **how) if r.what == "pairing"]


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
    path = write_api_project(tmp_path, server, test_gold="answer", **{"student.model": {"name": "./no-such-student"}})
    for until in (None, "teacher_outputs"):
        said = errors(path, until=until)
        assert any("no-such-student does not exist" in words for words in said.values())


@pytest.mark.parametrize(
    ("changes", "of", "words"),
    [
        ({"student.training.hidden": {"layers": [[1, 9]]}}, "student.model", "the teacher has 2 layers"),
        ({"student.training.hidden": {"relations": {"heads": 5}}}, "student.model", "does not divide"),
        ({"student.model": None, "student.init": {"layers": 3}}, "student.init", "and the teacher has 2 layers"),
    ],
)
def test_a_student_that_cannot_learn_from_its_teacher_is_named(tmp_path, changes, of, words):
    path = write_project(tmp_path, **{"student.training.signal": "hidden", **changes})
    found = errors(path)
    assert list(found) == [("pairing", of)]
    assert words in found["pairing", of]
    states = {(r.what, r.of): r.state for r in look_at(path, whole=False)}
    assert states["pairing", of] == "not checked"
    assert words in errors(path, until="teacher_outputs", plans_memory=False)["pairing", of]
    assert not errors(path, until="raw_dataset")


def test_a_student_that_is_cut_out_of_the_teacher_has_a_size(tmp_path):
    teacher = {**TINY_LLAMA, "num_hidden_layers": 6}
    path = write_project(
        tmp_path, **{"student.model": None, "student.init": {"layers": 2}, "teacher.model.settings": teacher}
    )
    found = {(r.what, r.of): r.found for r in look_at(path)}
    parameters = sketch(ModelConfig(architecture="llama", settings={**teacher, "num_hidden_layers": 2}), 400)
    assert found["pairing", "student.init"] == f"{parameters:,} parameters of the teacher"
    assert "GB for 16 rows of 1,024 tokens (weights" in found["memory", "student_checkpoint"]


@pytest.mark.parametrize(("student", "state"), [("own", "ok"), ("other", "error")])
def test_a_signal_that_needs_the_teachers_tokenizer_compares_them(tmp_path, student, state):
    models = {"teacher": TINY, "own": TINY, "other": TINY.model_copy(update={"vocab_size": 330})}
    for name, model in models.items():
        write_model(tmp_path / name, model)
    changes = {
        "teacher.model": {"name": str(tmp_path / "teacher")},
        "teacher.fit": None,
        "student.model": {"name": str(tmp_path / student)},
        "student.training.signal": "on_policy",
        "student.training.max_length": 128,
    }
    path = write_project(tmp_path, **changes)
    (found,) = (found for found in look_at(path, plans_memory=False) if found.what == "pairing")
    assert found.state == state
    assert "the student's" in found.found or state == "ok"
    (quick,) = (found for found in look_at(path, whole=False) if found.what == "pairing")
    assert quick.state == "not checked"
