"""Three rows for a check, from real tables of a real store."""

import pytest

from distill_dagster import files, records
from distill_dagster.alerts.examples import example_rows
from distill_dagster.errors import UserError
from distill_dagster.storage import Produced, Store


def publish(store, asset, shard, name, rows, schema):
    def make(out, _):
        records.write_table(out / name, rows, schema)
        return Produced("v1", {}, {})

    return store.publish(asset, shard, fingerprint="f", inputs={}, make=make)


def reject(code, number, snippet="text"):
    return {"shard": "s", "line": number, "row_id": None, "code": code, "message": "why", "snippet": snippet}


def answer(row_id, status="ok", finish="stop", parsed="yes", error=None):
    return {
        "row_id": row_id,
        "raw_text": f"text of {row_id}",
        "answer": parsed,
        "status": status,
        "finish_reason": finish,
        "error_code": error,
    }


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_reasons_take_turns(store):
    rows = [reject(code, number) for number, code in enumerate(["E004"] * 50 + ["E011", "E001"])]
    publish(store, "raw_dataset", "part-0", files.REJECTS_FILE, rows, records.REJECT)
    found = example_rows(store, "raw_dataset", "part-0")
    assert [(example.row, example.reason) for example in found] == [
        ("line 0", "E004, why"),
        ("line 50", "E011, why"),
        ("line 51", "E001, why"),
    ]


def test_the_checks_numbers_choose_the_reason(store):
    rows = [reject("refusal", 1), *(reject("contaminated", number) for number in range(2, 9))]
    publish(store, "validated_synthetic_set", None, files.REJECTS_FILE, rows, records.REJECT)
    found = example_rows(store, "validated_synthetic_set", None, ["share", "contaminated"])
    assert [example.row for example in found] == ["line 2", "line 3", "line 4"]


def test_unusable_answers_are_shown_and_usable_ones_never(store):
    rows = [
        *(answer(f"good-{i}") for i in range(20)),
        answer("f", "failed", "error", None, "http_500"),
        answer("t", finish="length"),
        answer("o", parsed=None),
    ]
    publish(store, "teacher_outputs", "part-0", files.TEACHER_FILE, rows, records.TEACHER)
    found = example_rows(store, "teacher_outputs", "part-0")
    assert [(example.row, example.reason) for example in found] == [
        ("row f", "failed (http_500)"),
        ("row t", "truncated"),
        ("row o", "off_form"),
    ]
    assert found[1].text == "text of t"
    assert [e.row for e in example_rows(store, "teacher_outputs", "part-0", ["truncated"])] == ["row t"]


def test_half_of_a_key_at_the_end_of_a_snippet_is_left_out(store):
    snippet = ("a " * 100)[:190] + "sk-ant-api"
    assert len(snippet) == 200
    publish(store, "raw_dataset", "part-0", files.REJECTS_FILE, [reject("E004", 1, snippet)], records.REJECT)
    (example,) = example_rows(store, "raw_dataset", "part-0")
    assert "sk-ant" not in example.text


def test_what_keeps_no_such_table_has_no_examples(store):
    publish(store, "student_checkpoint", None, files.EXAMPLES_FILE, [], records.EXAMPLE)
    assert example_rows(store, "student_checkpoint", None) == []
    assert example_rows(store, "never_made", "part-0") == []


def test_a_torn_table_is_named(store):
    manifest = publish(store, "raw_dataset", "part-0", files.REJECTS_FILE, [reject("E004", 1)], records.REJECT)
    manifest.file(files.REJECTS_FILE).write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"rejects\.parquet"):
        example_rows(store, "raw_dataset", "part-0")
