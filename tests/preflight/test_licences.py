"""A teacher whose answers may not be learned is a warning before it is paid."""

import json

from typer.testing import CliRunner

from distill_dagster.cli import app
from testing.projects import write_project
from tests.preflight.looks import look_at

OPENAI = {"endpoint": {"url": "https://api.openai.com/v1", "model": "gpt-4o", "api_key": "NO_SUCH_KEY"}}
UNKNOWN = {"endpoint": {"url": "http://127.0.0.1:9/v1", "model": "my-model"}}
NEW_STUDENT = {"student.model.tokenizer": "train"}


def licences(path) -> list[tuple[str, str, str]]:
    found = look_at(path, whole=False, asks=True)
    return [(r.of, r.state, r.found) for r in found if r.what == "licence"]


def test_plan_warns_of_a_disallowed_teacher_with_clause_url_and_date(tmp_path):
    path = write_project(tmp_path, teacher=OPENAI, **NEW_STUDENT)
    result = CliRunner().invoke(app, ["plan", "--json", "-c", str(path)])
    (found,) = [r for r in json.loads(result.stdout)["preflight"] if r["what"] == "licence"]
    assert (found["of"], found["state"]) == ("gpt-4o", "warning")
    assert "this teacher's terms do not allow training on its outputs: section 3.3(e)" in found["found"]
    assert "https://openai.com/policies/services-agreement/, read 2026-11-27" in found["found"]


def test_a_condition_is_a_warning_in_every_project(tmp_path):
    ((of, state, found),) = licences(write_project(tmp_path, teacher=OPENAI, task="nli", **NEW_STUDENT))
    assert (of, state) == ("gpt-4o", "warning")
    assert "neither distributed nor made commercially available" in found


def test_an_unknown_licence_is_a_warning_where_the_student_is_released(tmp_path):
    assert licences(write_project(tmp_path, teacher=UNKNOWN, **NEW_STUDENT)) == []
    ((of, state, found),) = licences(write_project(tmp_path, teacher=UNKNOWN, release={}, **NEW_STUDENT))
    assert (of, state) == ("my-model", "warning")
    assert "release.i_have_checked_the_licence: true" in found
    assert found.endswith("; no student is released until you confirm this")
    checked = {"i_have_checked_the_licence": True}
    assert licences(write_project(tmp_path, teacher=UNKNOWN, release=checked, **NEW_STUDENT))[0][1] == "ok"


def test_a_name_that_a_licence_refuses_is_a_warning_before_the_run(tmp_path):
    teacher = {"endpoint": {"url": "http://127.0.0.1:9/v1", "model": "llama3.1:8b"}}
    release = {"name": "intents"}
    found = licences(write_project(tmp_path, teacher=teacher, release=release, **NEW_STUDENT))
    assert [(of, state) for of, state, _ in found] == [("llama3.1:8b", "ok"), ("release.name", "warning")]


def test_models_of_ones_own_have_no_licence_to_show(tmp_path):
    assert licences(write_project(tmp_path, release={})) == []
