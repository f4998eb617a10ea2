"""Every format of rows is recognized, read, and judged under its own key."""

import json
import re

import pytest

from distill_dagster.config import DataConfig
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.formats.registry import FORMATS, detect
from distill_dagster.sources.judging.verdicts import SourceReading

VERSION = "bedrock-conversation-2024"
ROWS = {  # the same row in each format
    "chat": {
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "a"},
        ]
    },
    VERSION: {
        "schemaVersion": VERSION,
        "system": [{"text": "S"}],
        "messages": [{"role": "user", "content": [{"text": "q"}]}, {"role": "assistant", "content": [{"text": "a"}]}],
    },
    "sharegpt": {
        "conversations": [
            {"from": "system", "value": "S"},
            {"from": "human", "value": "q"},
            {"from": "gpt", "value": "a"},
        ]
    },
    "prompt_completion": {
        "prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": "q"}],
        "completion": "a",
    },
    "alpaca": {"instruction": "q", "input": "", "output": "a"},
    "input_output": {"input": "q", "output": "a"},
    "question_answer": {"question": "q", "answer": "a"},
}
SYSTEM, ASKED = {"role": "system", "content": "S"}, {"role": "user", "content": "q"}


def judge(tmp_path, rows, task="qa", **options):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reading = SourceReading(SourceFile("rows", "test", str(path)), DataConfig(train="x", test="x", **options), task)
    batches = list(reading)
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    return reading, rows, [reject for batch in batches for reject in batch.rejects]


def test_the_rows_above_are_of_all_formats():
    assert ROWS.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("named", [True, False])
def test_a_row_of_each_format(tmp_path, name, named):
    extra = {"id": 7, "reference": ["b"], "group": "g", "lang": "en"}
    reading, (row,), _ = judge(tmp_path, [{**ROWS[name], **extra}], format=name if named else "auto")
    assert reading.form == name
    has_system = name not in ("alpaca", "input_output", "question_answer")
    assert row["messages"] == ([SYSTEM, ASKED] if has_system else [ASKED])
    assert (row["row_id"], row["reference"], row["group"]) == ("7", ["b"], "g")
    kept = {"answer": "a"} if name == "question_answer" else {"assistant": "a"}
    assert json.loads(row["meta"]) == {"lang": "en", **kept}


@pytest.mark.parametrize("name", ["chat", VERSION, "sharegpt", "prompt_completion"])
def test_a_conversation_of_each_format(tmp_path, name):
    rows = {
        VERSION: lambda turns: [{"role": r, "content": [{"text": t}]} for r, t in turns],
        "sharegpt": lambda turns: [{"from": {"user": "human", "assistant": "gpt"}[r], "value": t} for r, t in turns],
    }
    turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    made = rows.get(name, lambda turns: [{"role": r, "content": t} for r, t in turns])(turns)
    key = {"sharegpt": "conversations", "prompt_completion": "prompt"}.get(name, "messages")
    extra = {"schemaVersion": VERSION} if name == VERSION else {}
    _, (row,), _ = judge(tmp_path, [{key: made, **extra}], task="conversation")
    assert [(m["role"], m["content"]) for m in row["messages"]] == turns
    assert row["meta"] == "{}"


def test_an_alpaca_input_follows_the_instruction(tmp_path):
    rows = [
        {"instruction": "Add.", "input": "2, 2", "output": "4"},
        {"instruction": "Add.", "input": 3},
        {"instruction": 5, "input": "x"},
    ]
    _, (row,), rejects = judge(tmp_path, rows)
    assert row["messages"] == [{"role": "user", "content": "Add.\n\n2, 2"}]
    assert row["reference"] == ["4"]
    assert [(r["line"], r["code"]) for r in rejects] == [(2, "E010"), (3, "E010")]


def test_blocks_of_text_are_lines_and_other_blocks_are_refused(tmp_path):
    def row(*blocks):
        return {"schemaVersion": VERSION, "messages": [{"role": "user", "content": list(blocks)}]}

    _, (kept,), rejects = judge(
        tmp_path, [row({"text": "a"}, {"text": "b"}), row({"image": {}}), row({"text": 3}), row()]
    )
    assert kept["messages"] == [{"role": "user", "content": "a\nb"}]
    assert [r["code"] for r in rejects] == ["E017", "E010", "E010"]


@pytest.mark.parametrize(
    ("good", "bad", "code", "says"),
    [
        (ROWS["sharegpt"], {"conversations": "x"}, "E002", "`conversations` is a str"),
        (ROWS["sharegpt"], {"conversations": [{"from": "tool", "value": "x"}]}, "E017", "'tool'"),
        (ROWS["sharegpt"], {"conversations": [{"from": "narrator", "value": "x"}]}, "E004", "'narrator'"),
        (ROWS["sharegpt"], {"conversations": ["x"]}, "E004", "message 1 is a str"),
        (ROWS["sharegpt"], {"conversations": [{"from": ["a"], "value": "x"}]}, "E004", "role"),
        (ROWS["alpaca"], {"instructions": "x"}, "E002", "`instruction` is missing"),
        (ROWS["input_output"], {"inputs": "x"}, "E002", "`input` is missing.*'inputs'.*docs/formats.md"),
        (ROWS[VERSION], {"schemaVersion": VERSION, "messages": None}, "E002", "`messages`"),
        (ROWS[VERSION], {"schemaVersion": VERSION, "messages": [1]}, "E004", "message 1 is a int"),
        (ROWS["prompt_completion"], {"prompt": " ", "completion": "x"}, "E010", "blank"),
    ],
)
def test_faults_name_the_keys_of_the_format(tmp_path, good, bad, code, says):
    _, _, (reject,) = judge(tmp_path, [good, bad])
    assert reject["code"] == code
    assert re.search(says, reject["message"]), reject["message"]


def test_the_most_frequent_format_is_taken_and_chat_where_none_fits():
    assert detect([ROWS["alpaca"], ROWS["chat"], ROWS["alpaca"]]) == "alpaca"
    assert detect([]) == detect([{"text": "x"}]) == "chat"
    assert detect([ROWS["sharegpt"], ROWS["chat"]]) == "chat"
