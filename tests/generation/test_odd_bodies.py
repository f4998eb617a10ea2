"""Bodies that no server should send: no reply stops a shard, the counts add up, and what came is kept."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_dagster.config import PriceConfig
from distill_dagster.errors import TeacherError
from distill_dagster.store import parquet
from distill_dagster.teachers.completion import as_text, read_reply
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.responses import Responses
from distill_dagster.teachers.retries import AttemptError
from testing.generation_contract import asked_rows, at, generate, spec_for

WORDS = st.sampled_from(
    ["text", "thinking", "refusal", "stop", "length", "error", "banana", "4", "<think>a</think>4", "\ud83d", "\x00", ""]
)
NUMBERS = st.integers() | st.floats(allow_nan=True) | st.just(10**40)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(WORDS | st.sampled_from(["type", "content", "message", "code", "usage"]), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = st.lists(st.fixed_dictionaries({"type": WORDS | JSON, "text": JSON}, optional={"thinking": JSON}), max_size=3)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "content": WORDS | PARTS | JSON,
        "reasoning": WORDS | JSON,
        "reasoning_details": JSON,
        "refusal": st.none() | WORDS | JSON,
        "tool_calls": JSON,
        "error": st.none() | JSON,
    },
)
USAGE = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "completion_tokens_details"]),
    NUMBERS | WORDS | JSON,
)
CHOICE = st.fixed_dictionaries(
    {"message": MESSAGE | JSON, "finish_reason": st.none() | WORDS | JSON},
    optional={"logprobs": JSON, "error": st.none() | JSON},
)
COMPLETION = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, min_size=1, max_size=2) | JSON, "usage": st.none() | USAGE | JSON},
    optional={"error": st.none() | JSON},
)
BODIES = st.one_of(COMPLETION, COMPLETION, JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)
REQUEST = Request("h", [{"role": "user", "content": "twelve chars"}])


def outcome(body: bytes):
    """The reply to a body, or the error that names what is wrong; any other exception is a bug."""
    try:
        return read_reply(receive(body), REQUEST)
    except (AttemptError, TeacherError) as error:
        return error


@settings(max_examples=600, deadline=None)
@given(body=BODIES)
def test_any_body_is_a_reply_or_a_named_failure(body):
    got = outcome(body)
    if isinstance(got, TeacherError):
        return
    if isinstance(got, AttemptError):
        assert got.received == as_text(body)
        tokens = got.usage
    else:
        assert isinstance(got.text, str)
        assert isinstance(got.reasoning, str | None)
        assert got.finish_reason not in ("error", "interrupted")
        assert got.text.strip() or got.received == as_text(body)
        tokens = got.prompt_tokens, got.completion_tokens
    assert all(isinstance(count, int) and 0 <= count < 2**31 for count in tokens)


@pytest.mark.processes
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(BODIES, min_size=1, max_size=12))
def test_a_shard_of_any_bodies_is_published_with_all_that_came(tmp_path_factory, server, bodies):
    bodies = [body for body in bodies if not isinstance(outcome(body), TeacherError)]
    rules = [
        {"match": f"<{n}>", "fault": "body", "base64": base64.b64encode(body).decode()} for n, body in enumerate(bodies)
    ]
    faculty = Faculty(teachers=[(1.0, at(server, price=PriceConfig(prompt=1, completion=1)))])
    server.script()
    generate(spec_for(tmp_path_factory.mktemp("first"), server, asked_rows(1), faculty=faculty))  # the endpoint works
    server.script(rules=rules)
    folder, rows = tmp_path_factory.mktemp("odd"), asked_rows(len(bodies) + 1)
    produced, table = generate(spec_for(folder, server, rows, faculty=faculty))
    counts = produced.counts
    assert counts.requests == len(table) == counts.ok + counts.failed == len(rows)
    assert counts.failed == sum(produced.errors.values()) == sum(row["error_code"] is not None for row in table)
    assert sum(produced.finish_reasons.values()) == counts.ok
    assert produced.asked == server.counts()["total"] == len(rows)
    stored = {reply["request_hash"]: reply for reply in replies_in(folder)}
    for row, body in zip(table, bodies, strict=False):
        kept = stored[row["request_hash"]]
        assert kept["received"] == as_text(body) if row["status"] == "failed" else kept["text"] == row["raw_text"]
    previous = counts.failed
    produced, again = generate(spec_for(folder, server, rows, faculty=faculty, name="again"))
    assert produced.asked == previous, "what was answered is not asked again"
    assert [row["raw_text"] for row in again] == [row["raw_text"] for row in table]


def replies_in(folder: Path) -> list[dict]:
    segments = sorted((folder / "responses" / "segments").glob("*.parquet"))
    return [reply for segment in segments for reply in parquet.read_table(segment)]


@pytest.mark.processes
def test_a_list_of_thoughts_no_longer_stops_a_shard_after_all_is_paid(tmp_path, server):
    thoughts = [{"type": "text", "text": "2 + 2"}]
    server.script(rules=[{"match": "<1>", "fault": "message", "message": {"reasoning": thoughts}}])
    produced, table = generate(spec_for(tmp_path, server, asked_rows(3)))
    assert produced.counts.ok == 3
    assert table[1]["reasoning"] == "2 + 2"
    assert len(Responses(tmp_path / "responses").find([row["request_hash"] for row in table])) == 3


@pytest.mark.processes
def test_a_body_that_is_not_utf8_is_kept_as_a_data_url(tmp_path, server):
    body = b'{"choices": "\xff\xfe"}'
    server.script(rules=[{"match": "<1>", "fault": "body", "base64": base64.b64encode(body).decode()}])
    produced, table = generate(spec_for(tmp_path, server, asked_rows(3)))
    assert produced.errors == {"bad_response": 1}
    assert not produced.complete
    kept = next(reply for reply in replies_in(tmp_path) if reply["request_hash"] == table[1]["request_hash"])
    assert base64.b64decode(kept["received"].partition(",")[2]) == body
