"""The lines of a batch's results: each is an answer, a failed reply that is kept, or an end of the shard."""

import json

import pytest

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import EndpointError, TeacherError
from distill_dagster.teachers.batching import results
from distill_dagster.teachers.batching.results import lines_of, read_result, results_in
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.retries import AttemptError
from testing.batches import batched, received_of, records_of
from testing.generation_contract import asked_rows, generate, is_right

pytestmark = pytest.mark.processes


def test_the_limits_of_a_file():
    assert (results.MOST_REQUESTS, results.MOST_BYTES) == (50_000, 200_000_000)
    endpoint = EndpointConfig(url="http://host/v1", model="m")
    requests = [Request(f"h{n}", [{"role": "user", "content": "x" * 70_000_000}]) for n in range(4)]
    files = list(lines_of(requests, endpoint, GenerationConfig()))
    assert [[key for key, _ in file] for file in files] == [["h0", "h1"], ["h2", "h3"]]
    assert all(sum(len(line) for _, line in file) <= results.MOST_BYTES for file in files)


def test_the_body_of_a_failed_row_is_kept(tmp_path, server):
    server.script(rules=[{"match": "<1>", "fault": "no_choices"}])
    produced, _ = generate(batched(tmp_path, server, asked_rows(3)))
    assert produced.errors == {"bad_response": 1}
    [kept] = received_of(tmp_path)
    assert json.loads(kept)["response"]["body"]["choices"] == []


LINES = {
    "cut": '{"custom_id": "{id}", "response": {"status_code": 200, "body": {"choices": [{"message": {"content": "4',
    "deep": '{"custom_id": "{id}", "response": ' + "[" * 2000 + "]" * 2000 + "}",
    "two answers": '{"custom_id": "{id}", "response": null, "response": {"status_code": 200}}',
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_that_cannot_be_read_is_kept_and_not_paid_for_again(tmp_path, server, name):
    server.script(batch={"lines": {"question <1>": LINES[name]}})
    rows = asked_rows(3)
    spec = batched(tmp_path, server, rows)
    produced, table = generate(spec)
    assert (produced.errors, produced.counts.ok, produced.complete) == ({"bad_response": 1}, 2, False)
    assert set(server.counts()["asked_in_batches"].values()) == {1}
    assert received_of(tmp_path) == [LINES[name].replace("{id}", table[1]["request_hash"])]
    assert not records_of(spec)
    assert generate(spec)[0].asked == 1, "the next run sends it again"


def test_a_key_in_a_batch_is_hidden(tmp_path, server, monkeypatch):
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("MADE_KEY", key)
    line = f'{{"custom_id": "{{id}}", "response": "{key}'
    errors = [{"code": "made", "message": f"no {key}", "line": None, "param": None}]
    server.script(key=key, batch={"lines": {"question <1>": line}})
    produced, _ = generate(batched(tmp_path, server, asked_rows(2), endpoint={"api_key": "MADE_KEY"}))
    assert produced.errors == {"bad_response": 1}
    assert "***" in received_of(tmp_path)[0]
    assert key not in received_of(tmp_path)[0]
    server.script(key=key, batch={"end": "failed", "errors": errors})
    with pytest.raises(TeacherError, match=r"no \*\*\*") as caught:
        generate(batched(tmp_path / "other", server, asked_rows(2), endpoint={"api_key": "MADE_KEY"}))
    assert key not in str(caught.value)


def result(**fields):
    return next(iter(results_in(json.dumps({"custom_id": "h", **fields}).encode()).values()))


@pytest.mark.parametrize(
    ("error", "code", "passing"),
    [
        ({"code": "batch_expired", "message": "out of time"}, "batch_expired", True),
        ({"code": "content_filter", "message": "no"}, "content_filter", False),
        ({"code": "x", "message": "maximum context length is 4096"}, "E010", False),
        ({"code": ["odd"]}, "no_result", True),
        ("text", "no_result", True),
        (None, "no_result", True),
    ],
)
def test_an_error_without_a_response_means_what_it_means_elsewhere(error, code, passing):
    endpoint = EndpointConfig(url="http://host/v1", model="m")
    with pytest.raises(AttemptError) as caught:
        read_result(result(response=None, error=error), Request("h", []), endpoint, GenerationConfig(), [])
    assert (caught.value.code, caught.value.passing) == (code, passing)


def test_an_account_without_money_stops_a_batch():
    endpoint = EndpointConfig(url="http://host/v1", model="m")
    failed = result(response=None, error={"code": "insufficient_quota", "message": "pay"})
    with pytest.raises(EndpointError, match="no money left"):
        read_result(failed, Request("h", []), endpoint, GenerationConfig(), [])


def test_lines_that_name_no_request_are_counted(caplog):
    content = b'{"custom_id": "a", "response": null}\n{"custom\n[]\n{"custom_id": 3}\n\xff\n\n{"custom_id": "b"'
    assert list(results_in(content)) == ["a", "b"]
    assert "4 lines of a batch's results name no request" in caplog.text


def test_too_long_a_wait_among_the_results_keeps_the_other_answers_and_stops_resumably(tmp_path, server):
    limits = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999000"}
    body = {"error": {"code": 429, "message": "Rate limit exceeded", "metadata": {"headers": limits}}}
    line = {"custom_id": "{id}", "response": {"status_code": 429, "body": body}, "error": None}
    text = json.dumps(line)
    server.script(batch={"lines": {"question <1>": text}})
    rows = asked_rows(3)
    spec = batched(tmp_path, server, rows)
    with pytest.raises(EndpointError, match="asks to wait more than a year"):
        generate(spec)
    assert len(server.counts()["batches"]) == 1
    _, table = generate(spec)
    assert is_right(table, rows)
    asked = server.counts()["asked_in_batches"]
    assert [asked[row["messages"][-1]["content"]] for row in rows] == [1, 2, 1]
