"""orjson and the fast path of the rules change no verdict: on any input they agree with json and with the rules."""

import json

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distill_dagster.sources.files.lines import Line
from distill_dagster.sources.formats.chat import draft
from distill_dagster.sources.judging.decoding import _decode_slowly, decode
from distill_dagster.sources.judging.raw_rows import hashed_bytes
from distill_dagster.sources.judging.rules import faults, is_flawless
from distill_dagster.store.hashing import canonical_json, row_id_of, rows_hash, sha256
from distill_dagster.tasks import TASKS

KEYS = st.sampled_from(["a", "b", '\\":', "é : \n"])
NUMBERS = st.integers() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
TEXT = st.text(max_size=8)
VALUE = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def both(data):
    line = Line(1, data, len(data))
    return decode(line, 10_000), _decode_slowly(line, data)


def exactly(value):
    """A value in which 1, 1.0 and True differ."""
    return repr(value)


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUE, max_size=4), st.booleans())
def test_orjson_reads_what_json_reads(row, ascii_only):
    fast, slow = both(json.dumps(row, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    assert exactly(fast) == exactly(slow)


@settings(deadline=None)
@given(st.binary(max_size=20) | st.text(st.sampled_from('{}[]",:\\u0dDeE+-.19ntaf \n\t\x1f\x7fé\ufeff'), max_size=14))
@example(b'{"a": 12345678901234567890123}')
@example(b'{"a": [-9223372036854775809, {"b": 18446744073709551616}]}')
@example(b'{"a": 1e400, "b": -0, "c": -0.0, "d": 1E5}')
@example(b'{"a": 1, "a": 2}')
@example(b'{"a" :1,"a":2}')
@example(b'{"a": {"b": 1, "b": 1}, "c": "\\":"}')
@example(b'{"a": "\\" :", "b": 1}')
@example(b'{"a": "\\":", "b" : 1}')
@example(b'{"a": "\\ud83d\\ude00"}')
@example(b'{"a": "\\ud83d"}')
@example(b'{"a": NaN}')
@example(b"\xef\xbb\xbf{}")
@example(b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}")
@example(b'{"a": ' + b"[" * 1500 + b"]" * 1500 + b"}")
@example(b'{"a": [' + b"[]," * 60 + b"1]}")
def test_orjson_refuses_what_json_refuses(data):
    fast, slow = both(data.encode() if isinstance(data, str) else data)
    assert exactly(fast) == exactly(slow)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(KEYS, st.sampled_from([":", " :", "\n \t: "]), st.sampled_from(["1", '":"', '"\\":"'])), max_size=4
    )
)
def test_a_key_that_occurs_twice_is_found_however_it_is_spaced(pairs):
    text = ",".join(f"{json.dumps(key)}{colon}{value}" for key, colon, value in pairs)
    keys = [key for key, _, _ in pairs]
    for whole in ("{" + text + "}", '{"inner": [{' + text + "}]}"):
        found = decode(Line(1, whole.encode(), len(whole)), 10_000)
        assert (found.row is None) == (len(set(keys)) < len(keys)), whole
        assert found.row is not None or "occurs twice in one object" in found.problem


ROLE = st.sampled_from(["system", "user", "assistant"])
CONTENT = st.sampled_from(["a", "b\u2028", " ", "", "x\0", "\x0b"]) | VALUE
MESSAGE = st.fixed_dictionaries({"role": ROLE | VALUE, "content": CONTENT}, optional={"name": TEXT})
ROW = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE | st.fixed_dictionaries({"content": CONTENT}) | VALUE, max_size=5) | VALUE},
    optional={key: VALUE for key in ("id", "reference", "group", "task")},
)
GOOD = st.fixed_dictionaries({"role": ROLE, "content": st.just("a")})
LIKELY = st.fixed_dictionaries(
    {"messages": st.lists(GOOD, min_size=1, max_size=4)}, optional={"id": TEXT, "task": VALUE}
)


@settings(max_examples=400, deadline=None)
@given(ROW | LIKELY, st.sampled_from(sorted(TASKS)), st.booleans())
def test_a_flawless_row_has_no_faults(row, task, require_system):
    made = draft(row)
    if is_flawless(made, made.task if made.task is not None else task, require_system):
        assert faults(made, made.task if made.task is not None else task, require_system) == []


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("system", [True, False])
def test_the_usual_shapes_take_the_fast_path(task, system):
    turns = ["system"] * system + ["user", "assistant"]
    made = draft({"messages": [{"role": role, "content": "a"} for role in turns], "id": 3, "reference": ["x"]})
    assert is_flawless(made, task, require_system=False)
    assert is_flawless(made, task, require_system=True) is system


STORED = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)  # half surrogates are refused before
MESSAGES = st.lists(st.fixed_dictionaries({"content": STORED, "role": ROLE}), min_size=1, max_size=3)


@given(MESSAGES)
def test_a_row_id_is_the_hash_of_canonical_messages(messages):
    assert row_id_of(messages) == sha256(canonical_json(messages))[:16]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "row_id": STORED,
                "messages": MESSAGES,
                "reference": st.lists(STORED, max_size=2),
                "group": st.none() | STORED,
                "source_line": st.integers(1, 2**62),
                "meta": VALUE.map(lambda v: json.dumps(v).encode("ascii", "replace").decode()),
            }
        ),
        max_size=4,
    )
)
def test_raw_rows_are_hashed_as_all_rows_are(rows):
    hashed = [_hashed(row) for row in rows]
    assert sha256(b"".join(hashed)) == rows_hash(rows)
    assert [orjson.loads(text) for text in hashed] == rows


def _hashed(row):
    messages = orjson.dumps(row["messages"], option=orjson.OPT_SORT_KEYS)
    rest = {name: row[name] for name in sorted(row) if name not in ("group", "messages")}
    return hashed_bytes(row["group"], messages, rest)
