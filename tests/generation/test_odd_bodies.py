"""Bodies that no server should send: no reply stops a shard, the counts add up, and what came is kept."""

import base64
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from distill_dagster.config import EndpointConfig, GenerationConfig, PriceConfig
from distill_dagster.errors import EndpointError, TeacherError
from distill_dagster.store import parquet
from distill_dagster.teachers.batching.results import ResultLine, read_result, results_in
from distill_dagster.teachers.batching.state import read_state
from distill_dagster.teachers.bounded_json import read_json
from distill_dagster.teachers.causes import cause_of_body
from distill_dagster.teachers.completion import as_text, error_body, read_reply
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.responses import Responses
from distill_dagster.teachers.retries import AttemptError, refusal_by
from distill_dagster.teachers.sending import forget_endpoints
from distill_dagster.teachers.unsupported import refuse_unsupported
from testing.generation_contract import asked_rows, at, generate, spec_for
from testing.odd_json import BODIES, STREAMS, nested, results

REQUEST = Request("h", [{"role": "user", "content": "twelve chars"}])
ENDPOINT = EndpointConfig(url="http://host/v1", model="m", price=PriceConfig(prompt=1, completion=1))
DEEP = [nested("1", 600, opening).encode() for opening in ("[", '{"error":', '[{"message":')]
SENT = {"model": "m", "messages": REQUEST.messages, "temperature": 0}


def outcome(body: bytes):
    """The reply to a body, or the error that names what is wrong; any other exception is a bug."""
    try:
        return read_reply(receive(body), REQUEST)
    except (AttemptError, TeacherError) as error:
        return error


def holds(got, body: bytes) -> None:
    """Check that a reply or a failure can be stored, and keeps what it does not hold."""
    if isinstance(got, TeacherError):
        return
    if isinstance(got, AttemptError):
        assert got.received == as_text(body)
        tokens, text = got.usage, str(got)
    else:
        assert isinstance(got.text, str)
        assert isinstance(got.reasoning, str | None)
        assert got.finish_reason not in ("error", "interrupted")
        assert got.text.strip() or got.received == as_text(body)
        tokens, text = (got.prompt_tokens, got.completion_tokens), json.dumps(got, allow_nan=False)
    assert text
    assert all(isinstance(count, int) and 0 <= count < 2**31 for count in tokens)


@settings(max_examples=250, deadline=None)
@given(body=BODIES)
def test_any_body_is_a_reply_or_a_named_failure(body):
    holds(outcome(body), body)


@settings(max_examples=150, deadline=None)
@given(body=STREAMS)
@example(body=b"data: " + DEEP[1] + b"\n\n")
def test_any_stream_is_a_reply_or_a_named_failure(body):
    assert receive(body).is_streamed
    holds(outcome(body), body)


@settings(max_examples=150, deadline=None)
@given(body=BODIES | STREAMS)
@example(body=b'{"x": 1e999}')
@example(body=DEEP[1])
def test_any_first_body_shows_a_cause_or_none(body):
    assert isinstance(cause_of_body(ENDPOINT, receive(body), ["sk-very-secret-0123456789"]), EndpointError | None)


@settings(max_examples=150, deadline=None)
@given(status=st.sampled_from([302, 400, 401, 404, 422, 429, 460, 500, 503]), body=BODIES)
@example(status=400, body=DEEP[0])
@example(status=400, body=DEEP[1])
@example(status=429, body=DEEP[2])
def test_any_body_of_an_error_is_a_named_failure(status, body):
    try:
        read = error_body(body, ["sk-very-secret-0123456789"])
        refuse_unsupported(status, read, SENT, "host", ENDPOINT)
        failure = refusal_by(ENDPOINT, status, {}, read)
    except EndpointError:
        return
    assert failure.code
    assert failure.retry_after_s is None or 0 <= failure.retry_after_s < float("inf")


@settings(max_examples=120, deadline=None)
@given(content=results(["h", "other"]))
@example(content=b'{"custom_id": "h", "response": ' + b"[" * 2000)
@example(content=b'{"custom_id": "h", "response": {"status_code": 400, "body": %b}}' % DEEP[0])
def test_any_file_of_results_gives_replies_or_named_failures(content):
    for result in results_in(content).values():
        got = result_of(result)
        if isinstance(got, AttemptError):
            assert got.code
            assert got.received in (None, as_text(result.line))
        else:
            holds(got, result.line)


def result_of(result: ResultLine):
    """As `outcome`, of a line of a batch's results."""
    try:
        return read_result(result, REQUEST, ENDPOINT, GenerationConfig(), [])
    except (AttemptError, TeacherError) as error:
        return error


@settings(max_examples=120, deadline=None)
@given(body=BODIES)
def test_any_state_of_a_batch_is_read_or_named(body):
    with contextlib.suppress(ValueError):
        state = read_state(read_json(body))
        assert state.milliseconds >= 0
        assert state.completed >= 0


@pytest.mark.processes
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES | STREAMS, status=st.sampled_from([200, 200, 400, 429]))
def test_the_first_body_of_an_endpoint_is_a_reply_or_a_named_error(server, body, status):
    server.script(rules=[{"fault": "body", "status": status, "base64": base64.b64encode(body).decode()}])
    forget_endpoints()
    replies: list[Reply] = []
    with contextlib.suppress(TeacherError):
        teacher = ApiTeacher(EndpointConfig(url=server.url, model="made", attempts=1), GenerationConfig())
        teacher.answer([REQUEST], replies.append)
        assert len(replies) == 1
    assert server.counts()["total"] == 1


@pytest.mark.processes
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(BODIES | STREAMS, min_size=1, max_size=12))
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
