"""Rows and rejects: every rule has its code, and no row is lost."""

import codecs
import json
import re

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.judging.verdicts import SourceReading
from distill_dagster.store import schemas

USER = {"role": "user", "content": "q"}
GOOD = {"id": "good", "messages": [{"role": "user", "content": "a good row"}]}


def turn(role, content):
    return {"role": role, "content": content}


def chat(*roles):
    return {"messages": [turn(role, f"text {n}") for n, role in enumerate(roles)]}


class Shard:
    """All batches of a file as one."""

    def __init__(self, *arguments):
        reading = SourceReading(*arguments)
        batches = list(reading)
        self.rows = [row for batch in batches for row in batch.rows.to_pylist()]
        self.rejects = [reject for batch in batches for reject in batch.rejects]
        self.counts = reading.counts


def read(tmp_path, rows, task="nli", split="train", **options):
    path = tmp_path / "rows.jsonl"
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines))
    return Shard(SourceFile("rows", split, str(path)), DataConfig(train="x", test="x", **options), task)


def verdict(tmp_path, row, **options):
    """The reject of `row`, in a file with a good row that keeps it valid."""
    good = GOOD if options.get("task") != "conversation" else chat("user", "assistant")
    shard = read(tmp_path, [good, row], **options)
    assert [r["source_line"] for r in shard.rows] == [1]
    (reject,) = shard.rejects
    return reject


@pytest.mark.parametrize(
    ("row", "code", "says"),
    [
        (b"{", "E001", "not JSON"),
        (b"[1]", "E001", "JSON list"),
        (b'{"messages": NaN}', "E001", "NaN"),
        (b'{"messages": "\xff"}', "E001", "byte 15 .* not UTF-8"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "E001", "surrogate"),
        (b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", "E001", "nested"),
        (b"[" * 4_000, "E001", "nested"),
        (b'{"a": "' + b"x" * 5000 + b'"}', "E001", "5,009 bytes.* 5,000"),
        ({"message": [USER]}, "E002", "`messages` is missing.*'message'"),
        ({"messages": []}, "E002", "empty"),
        ({"messages": "hi"}, "E002", "str"),
        ({"messages": ["hi"]}, "E004", "message 1 is a str"),
        ({"messages": [turn("narrator", "x"), USER]}, "E004", "'narrator'"),
        ({"messages": [turn("tool", "x"), USER]}, "E017", "'tool'"),
        ({"messages": [USER], "tools": [{}]}, "E017", "`tools`.*data.meta_keys"),
        ({"messages": [USER], "prompt": "p"}, "E018", "`prompt`.*`messages`.*data.meta_keys"),
        (b'{"messages": [{"role": "user", "content": "a", "content": "b"}]}', "E001", "'content' occurs twice"),
        (b'{"messages" : [], "x":"\\":", "messages" :[]}', "E001", "'messages' occurs twice"),
        (b'{"messages": [], "score": 1e999}', "E001", "1e999 is too large"),
        ({"messages": [turn(["user"], "x")]}, "E004", r"\['user'\]"),
        ({"messages": [{"role": "user", "text": "x"}]}, "E004", "no `content`.*'text'"),
        (chat("user", "system"), "E005", "message 2 is system after user"),
        (chat("assistant", "user"), "E005", "message 1 is assistant after nothing"),
        (chat("user", "user"), "E005", "message 2 is user after user.*E006"),
        (chat("system"), "E006", "has 0"),
        (chat("user", "assistant", "user"), "E006", "has 2"),
        ({"messages": [USER], "task": "haiku"}, "E008", "'haiku'"),
        ({"messages": [USER], "task": ["nli"]}, "E008", r"\['nli'\]"),
        ({"messages": [turn("user", " \n")]}, "E010", "blank"),
        ({"messages": [turn("user", None)]}, "E010", "NoneType"),
        ({"messages": [turn("user", ["x"])]}, "E010", "list"),
        ({"messages": [turn("user", "a\0b")]}, "E010", "NUL at character 2"),
        ({"messages": [USER], "reference": ["a", ""]}, "E010", "reference 2 is blank"),
        ({"messages": [USER], "reference": True}, "E010", "bool"),
        ({"messages": [USER], "id": ["x"]}, "E010", "id is a list"),
        ({"messages": [turn("user", "a good row")], "id": "other"}, "E011", "same as line 1"),
        ({"messages": [USER], "id": "good"}, "E011", "'good'.*line 1"),
    ],
)
def test_every_rule_names_the_value(tmp_path, row, code, says):
    reject = verdict(tmp_path, row, max_row_bytes=5000)
    assert (reject["code"], reject["line"]) == (code, 2)
    assert re.search(says, reject["message"], re.DOTALL), reject["message"]


def test_all_errors_of_a_row_are_in_one_reject(tmp_path):
    reject = verdict(tmp_path, {"id": 7, "messages": [turn("user", ""), turn("tool", "x")], "reference": {}})
    assert reject["row_id"] == "7"
    assert [part[:4] for part in reject["message"].split("; ") if part.startswith("E0")] == ["E010", "E017", "E010"]


@pytest.mark.parametrize("roles", [("system",), ("user",), ("user", "assistant", "user"), ("system", "user")])
def test_a_conversation_has_whole_pairs(tmp_path, roles):
    assert verdict(tmp_path, chat(*roles), task="conversation")["code"] == "E007"


def test_require_system(tmp_path):
    shard = read(tmp_path, [chat("system", "user"), GOOD], require_system=True)
    assert [r["code"] for r in shard.rejects] == ["E003"]


def test_a_gold_turn_becomes_the_reference_and_leaves_the_messages(tmp_path):
    asked = [turn("user", "q"), turn("assistant", "neutral")]
    rows = [{"messages": asked}, {"messages": [turn("user", "p"), asked[1]], "reference": ["entailment"]}]
    first, second = read(tmp_path, rows).rows
    assert (first["messages"], first["reference"]) == ([turn("user", "q")], ["neutral"])
    assert (second["messages"], second["reference"]) == ([turn("user", "p")], ["entailment"])
    assert json.loads(second["meta"]) == {"assistant": "neutral"}


def test_a_conversation_keeps_its_assistant_turns(tmp_path):
    (row,) = read(tmp_path, [chat("system", "user", "assistant")], task="conversation").rows
    assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant"]
    assert row["reference"] == []


def test_what_the_format_does_not_know_is_kept_in_meta(tmp_path):
    message = {"content": "q", "name": "Ann", "role": "user"}
    row = {"lang": "en", "reference": [1, 2.5, "x"], "messages": [message], "group": 4, "id": 12, "task": "qa"}
    (raw,) = read(tmp_path, [row]).rows
    assert raw == {
        "row_id": "12",
        "shard": "rows",
        "split": raw["split"],
        "task": "qa",
        "messages": [turn("user", "q")],
        "reference": ["1", "2.5", "x"],
        "not_gold": None,
        "group": "4",
        "source_line": 1,
        "meta": '{"lang":"en","messages":{"0":{"name":"Ann"}}}',
    }


def test_control_characters_are_text(tmp_path):
    (row,) = read(tmp_path, [{"messages": [turn("user", "a\x18b\u2028c")]}]).rows
    assert row["messages"][0]["content"] == "a\x18b\u2028c"


def test_prompt_and_completion_are_recognised(tmp_path):
    rows = [
        {"prompt": "p", "completion": "c", "source": "s"},
        {"prompt": [turn("system", "S"), turn("user", "p")], "completion": [turn("assistant", "c")]},
        {"prompt": "q", "reference": ["r"]},
        {"prompt": None},
        {"prompt": 3},
    ]
    shard = read(tmp_path, rows)
    assert [r["reference"] for r in shard.rows] == [["c"], ["c"], ["r"]]
    assert [r["messages"][-1] for r in shard.rows] == [turn("user", "p"), turn("user", "p"), turn("user", "q")]
    assert shard.rows[0]["meta"] == '{"source":"s"}'
    assert [r["code"] for r in shard.rejects] == ["E002", "E010"]


def test_no_control_character_of_a_row_reaches_the_terminal(tmp_path):
    (reject,) = read(tmp_path, [GOOD, b"\x00\x1b[31m{\tx\x9b"]).rejects
    assert reject["snippet"] == "\ufffd\ufffd[31m{\tx\ufffd"


def test_a_named_format_is_not_guessed(tmp_path):
    with pytest.raises(DataError, match=r"none of 1 rows is valid, read as chat \(E002 1\); line 1: E002.*'prompt'"):
        read(tmp_path, [{"prompt": "p"}], format="chat")


def test_one_prompt_with_two_references_needs_ids(tmp_path):
    rows = [{"messages": [USER], "reference": "a"}, {"messages": [USER], "reference": "b"}]
    assert [r["code"] for r in read(tmp_path, rows).rejects] == ["E011"]
    with_ids = [{**row, "id": str(n)} for n, row in enumerate(rows)]
    assert len(read(tmp_path, with_ids).rows) == 2


def test_a_share_of_groups_is_held_out_where_there_is_no_validation_file(tmp_path):
    rows = [{"messages": [turn("user", f"q {n}")], "group": n // 2} for n in range(2000)]
    held = [r for r in read(tmp_path, rows, validation_share=0.2).rows if r["split"] == "validation"]
    assert 300 < len(held) < 500
    assert all(sum(r["group"] == other["group"] for r in held) == 2 for other in held)
    assert {r["split"] for r in read(tmp_path, rows, validation="v").rows} == {"train"}
    assert {r["split"] for r in read(tmp_path, rows, split="test").rows} == {"test"}


def test_files_without_a_row_are_errors(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path, [b"\n \n"])
    with pytest.raises(DataError, match=r"none of 2 rows is valid.*E001 1, E002 1.*line 1: E001"):
        read(tmp_path, [b"x", {"a": 1}])


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MESSAGE = st.fixed_dictionaries(
    {}, optional={"role": st.sampled_from(["system", "user", "assistant"]) | VALUE, "content": VALUE}
)
ROW = st.fixed_dictionaries(
    {},
    optional={"messages": st.lists(MESSAGE | VALUE, max_size=4) | VALUE, "prompt": VALUE}
    | {k: VALUE for k in ("completion", "id", "reference", "group", "task", "x")},
)


def _holds_something(line: bytes) -> bool:
    """A byte order mark may open any line, because files are concatenated with theirs."""
    return bool(line.removeprefix(codecs.BOM_UTF8).strip())


@settings(max_examples=200, deadline=None)
@example([codecs.BOM_UTF8])
@given(st.lists(ROW.map(lambda row: json.dumps(row).encode()) | st.binary(max_size=20), max_size=8))
def test_any_file_adds_up_and_can_be_stored(tmp_path_factory, rows):
    rows = [json.dumps(GOOD).encode(), *(row.replace(b"\n", b" ") for row in rows)]
    shard = read(tmp_path_factory.getbasetemp(), rows, format="chat")
    counts = shard.counts
    assert counts["lines"] == counts["rows"] + counts["rejected"] == sum(map(_holds_something, rows))
    assert counts["rejected"] == sum(n for code, n in counts.items() if code.startswith("E0"))
    assert (len(shard.rows), len(shard.rejects)) == (counts["rows"], counts["rejected"])
    pa.Table.from_pylist(shard.rows, schemas.RAW)
    pa.Table.from_pylist(shard.rejects, schemas.REJECT)
