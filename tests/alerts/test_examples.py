"""The three example rows of a failed check, from real tables in a real store."""

import pytest

from distill_dagster.alerts.examples import example_rows
from distill_dagster.config.reading import load_config
from distill_dagster.errors import UserError
from distill_dagster.lineage.project import Project
from distill_dagster.store import files, parquet, schemas
from distill_dagster.store.result import Counts, Result
from testing.projects import write_project


def publish(project, asset, shard, name, rows, schema):
    def make(out, _):
        parquet.write_table(out / name, rows, schema)
        return Result(data_version="v1", counts=Counts())

    return project.store.publish(asset, shard, fingerprint="f", inputs={}, make=make)


def reject(code, number, snippet="text"):
    return {"shard": "s", "line": number, "row_id": None, "code": code, "message": "why", "snippet": snippet}


def answer(row_id, status="ok", finish="stop", error=None, text=None):
    return {
        "row_id": row_id,
        "turn": 0,
        "params": "{}",
        "raw_text": f"text of {row_id}" if text is None else text,
        "status": status,
        "finish_reason": finish,
        "chosen": True,
        "error_code": error,
    }


def asked(row_id):
    return {"row_id": row_id, "task": "qa", "messages": [{"role": "user", "content": f"Who is {row_id}?"}]}


@pytest.fixture
def project(tmp_path):
    return Project(load_config(write_project(tmp_path)))


def test_reasons_take_turns(project):
    rows = [reject(code, number) for number, code in enumerate(["E004"] * 50 + ["E011", "E001"])]
    publish(project, "raw_dataset", "part-0", files.REJECTS_FILE, rows, schemas.REJECT)
    found = example_rows(project, "raw_dataset", "part-0")
    assert [(example.row, example.reason) for example in found] == [
        ("line 0", "E004, why"),
        ("line 50", "E011, why"),
        ("line 51", "E001, why"),
    ]


def test_the_check_chooses_the_reasons_that_are_shown(project):
    rows = [reject("refusal", 1), *(reject("contaminated", number) for number in range(2, 9))]
    publish(project, "validated_synthetic_set", None, files.REJECTS_FILE, rows, schemas.REJECT)
    found = example_rows(project, "validated_synthetic_set", None, ["contaminated"])
    assert [example.row for example in found] == ["line 2", "line 3", "line 4"]
    assert example_rows(project, "validated_synthetic_set", None, []) == [], "a check without example rows"


def test_unusable_answers_are_shown_and_usable_ones_never(project):
    rows = [
        *(answer(f"good-{i}") for i in range(20)),
        answer("f", "failed", "error", "http_500"),
        answer("t", finish="length"),
        answer("n", text="N/A"),
    ]
    publish(project, "raw_dataset", "part-0", files.RAW_FILE, [asked(row["row_id"]) for row in rows], schemas.RAW)
    publish(project, "teacher_outputs", "part-0", files.TEACHER_FILE, rows, schemas.TEACHER)
    found = example_rows(project, "teacher_outputs", "part-0")
    assert [(example.row, example.reason) for example in found] == [
        ("row f", "failed (http_500)"),
        ("row t", "truncated"),
        ("row n", "placeholder"),
    ]
    assert found[1].text == "text of t"
    assert [e.row for e in example_rows(project, "teacher_outputs", "part-0", ["truncated"])] == ["row t"]


def test_half_of_a_key_at_the_end_of_a_snippet_is_left_out(project):
    snippet = ("a " * 100)[:190] + "sk-ant-api"
    assert len(snippet) == 200
    publish(project, "raw_dataset", "part-0", files.REJECTS_FILE, [reject("E004", 1, snippet)], schemas.REJECT)
    (example,) = example_rows(project, "raw_dataset", "part-0")
    assert "sk-ant" not in example.text


def test_an_artefact_without_such_a_table_has_no_examples(project):
    publish(project, "student_checkpoint", None, files.EXAMPLES_FILE, [], schemas.EXAMPLE)
    assert example_rows(project, "student_checkpoint", None) == []
    assert example_rows(project, "never_made", "part-0") == []


def test_an_incomplete_table_is_named(project):
    manifest = publish(project, "raw_dataset", "part-0", files.REJECTS_FILE, [reject("E004", 1)], schemas.REJECT)
    manifest.file(files.REJECTS_FILE).write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"rejects\.parquet"):
        example_rows(project, "raw_dataset", "part-0")
