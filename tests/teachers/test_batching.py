"""Requests through a provider's batch API: sent once, resumed after a kill, and recorded like any other reply."""

import json
import os
from collections import Counter
from multiprocessing.connection import wait
from pathlib import Path

import pytest
from pydantic import ValidationError

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import BudgetError, EndpointError, TeacherError
from distill_dagster.progress import listen
from distill_dagster.store import parquet
from distill_dagster.teachers.batching import provider, results, sending
from distill_dagster.teachers.batching.records import Batching, BatchRecord
from distill_dagster.teachers.batching.results import lines_of, read_result, results_in
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.responses import Responses
from distill_dagster.teachers.retries import AttemptError
from testing.batch_server import BatchServer
from testing.generation_contract import (
    asked_rows,
    at,
    finish,
    generate,
    is_right,
    journal_lines,
    kill_when,
    lasting,
    output_of,
    spec_for,
    start,
    steps_of,
)
from testing.wrong_places import redirect, wrong_place

pytestmark = pytest.mark.processes

PRICE = {"prompt": 0.0, "completion": 1_000_000, "batch_discount": 0.5}  # half a dollar a completion token
DOLLARS = 1.0  # "answer 4168220" has two tokens


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(sending, "FIRST_POLL_S", 0.02)
    monkeypatch.setattr(provider, "SETTLE_S", 0.0)
    with BatchServer() as running:
        running.script()
        yield running


def batched(folder, server, rows, price=PRICE, **changes):
    endpoint = {"batch": True, "price": price, "attempts": 3, **changes.pop("endpoint", {})}
    return spec_for(folder, server, rows, faculty=Faculty(teachers=[(1.0, at(server, **endpoint))]), **changes)


def records_of(spec) -> list[Path]:
    return list((Path(spec.responses) / "batches").glob("*.json"))


def test_a_shard_is_answered_by_one_batch_at_the_price_of_a_batch(tmp_path, server):
    rows = asked_rows(20)
    spec = batched(tmp_path, server, rows)
    produced, table = generate(spec)
    counts = server.counts()
    assert is_right(table, rows)
    assert (counts["total"], len(counts["batches"]), counts["files"]) == (0, 1, 2)
    assert produced.asked == 20
    assert produced.cost_usd == Responses(Path(spec.responses)).spent() == 20 * DOLLARS
    assert all(row["attempts"] == 1 and row["prompt_tokens"] > 0 for row in table)
    [batch] = counts["batches"].values()
    assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
    assert not records_of(spec)
    assert generate(spec)[0].asked == 0


def test_the_table_is_that_of_single_requests(tmp_path, server):
    rows = asked_rows(8)
    _, in_batches = generate(batched(tmp_path / "a", server, rows))
    single = spec_for(tmp_path / "b", server, rows, faculty=Faculty(teachers=[(1.0, at(server))]))
    assert lasting(generate(single)[1]) == lasting(in_batches)


def test_switching_to_batches_asks_nothing_again(tmp_path, server):
    rows = asked_rows(8)
    generate(spec_for(tmp_path, server, rows, faculty=Faculty(teachers=[(1.0, at(server))])))
    assert generate(batched(tmp_path, server, rows, name="again"))[0].asked == 0
    assert not server.counts()["batches"]


def test_rows_that_failed_expired_or_are_missing_are_asked_again(tmp_path, server):
    passing = {"match": "<3>", "fault": "status", "status": 500, "times": 1}
    lasting_fault = {"match": "<4>", "fault": "status", "status": 400}
    batch = {"expire": ["question <5>"], "drop": ["question <6>"]}
    server.script(rules=[passing, lasting_fault], batch=batch)
    rows = asked_rows(10)
    produced, table = generate(batched(tmp_path, server, rows))
    asked = server.counts()["asked_in_batches"]
    assert {prompt for prompt, times in asked.items() if times == 2} == {f"question <{n}>" for n in (3, 5, 6)}
    assert produced.errors == {"http_400": 1}
    assert Counter(row["attempts"] for row in table) == {1: 7, 2: 3}
    assert produced.counts.ok == 9


def test_a_row_that_never_works_is_a_failed_reply_after_its_attempts(tmp_path, server):
    server.script(rules=[{"match": "<1>", "fault": "status", "status": 503}])
    produced, _ = generate(batched(tmp_path, server, asked_rows(3)))
    assert produced.errors == {"http_503": 1}
    assert server.counts()["asked_in_batches"]["question <1>"] == 3
    assert not produced.complete, "the next run asks again"


def whole_after(spec, server, rows) -> None:
    """Resume; every row was sent in a batch once, and its reply is on disk once."""
    _, table = generate(spec)
    assert is_right(table, rows)
    assert {server.counts()["asked_in_batches"][row["messages"][-1]["content"]] for row in rows} == {1}
    assert server.counts()["total"] == 0
    assert Responses(Path(spec.responses)).spent() == DOLLARS * len(rows)
    assert generate(spec)[0].asked == 0


def test_killed_while_it_waits_it_finds_its_batch_again(tmp_path, server):
    server.script(batch={"hold": True})
    rows = asked_rows(12)
    spec = batched(tmp_path, server, rows)

    def is_journaled():
        return any(json.loads(path.read_text())["batch_id"] for path in records_of(spec))

    kill_when(start(spec), is_journaled)
    server.script(batch={})
    whole_after(spec, server, rows)
    assert not records_of(spec)


def test_killed_between_creating_the_batch_and_its_id_it_is_not_sent_twice(tmp_path, server):
    server.script(batch={"hang_reply": 1})
    rows = asked_rows(12)
    spec = batched(tmp_path, server, rows)
    kill_when(start(spec), lambda: server.counts()["batches"])
    [record] = [json.loads(path.read_text()) for path in records_of(spec)]
    assert record["batch_id"] is None
    whole_after(spec, server, rows)


def test_a_lost_answer_to_the_creation_is_not_a_second_batch(tmp_path, server):
    server.script(batch={"lose_reply": 1})
    rows = asked_rows(5)
    whole_after(batched(tmp_path, server, rows), server, rows)


def test_the_batch_is_found_behind_others_and_without_metadata(tmp_path, server):
    for n in range(3):
        generate(batched(tmp_path / f"other-{n}", server, asked_rows(1, start=100 + n)))
    server.script(batch={"hang_reply": 1})
    rows = asked_rows(4)
    spec = batched(tmp_path, server, rows)
    kill_when(start(spec), lambda: len(server.counts()["batches"]) == 4)
    for n in range(3):
        generate(batched(tmp_path / f"later-{n}", server, asked_rows(1, start=200 + n)))
    [path] = records_of(spec)
    record = json.loads(path.read_text())
    assert record["input_file_id"]
    (path.parent / f"{path.stem}.json").write_text(json.dumps({**record, "key": path.stem[::-1]}))  # metadata lost
    assert is_right(generate(spec)[1], rows)
    assert len(server.counts()["batches"]) == 7


def test_killed_right_before_every_step_on_disk(tmp_path, server):
    whole = batched(tmp_path / "whole", server, asked_rows(4))
    assert finish(start(whole)) == 0, output_of(whole)
    steps = steps_of(whole)
    assert any("/batches/" in step for step in steps)
    for n in range(1, len(steps) + 1):
        rows = asked_rows(4, start=10 * n)
        spec = batched(tmp_path / f"step-{n}", server, rows)
        assert finish(start(spec, kill_at=n)) == -9, steps[n - 1]
        whole_after(spec, server, rows)


def test_a_record_whose_replies_are_stored_is_removed_by_the_next_batch(tmp_path, server):
    spec = batched(tmp_path, server, asked_rows(3))
    hashes = [row["request_hash"] for row in generate(spec)[1]]
    (Path(spec.responses) / "batches" / "left.json").write_text(json.dumps({"hashes": hashes, "key": "left"}))
    generate(batched(tmp_path, server, asked_rows(1, start=7), name="next"))
    assert not records_of(spec)


def test_killed_while_it_records_the_rest_is_read_from_the_same_batch(tmp_path, server):
    rows = asked_rows(400)
    spec = batched(tmp_path, server, rows)
    child = start(spec)
    kill_when(child, lambda: journal_lines(spec) >= 5)
    whole_after(spec, server, rows)


def test_a_config_that_no_longer_asks_leaves_the_batch_to_the_run_that_does(tmp_path, server):
    server.script(batch={"hold": True})
    rows = asked_rows(6)
    spec = batched(tmp_path, server, rows)
    kill_when(start(spec), lambda: any(json.loads(p.read_text())["batch_id"] for p in records_of(spec)))
    server.script(batch={})
    assert is_right(generate(batched(tmp_path, server, rows[:2], name="smaller"))[1], rows[:2])
    assert is_right(generate(spec)[1], rows)
    assert set(server.counts()["asked_in_batches"].values()) == {1}


def test_a_file_holds_as_many_requests_as_the_api_takes(tmp_path, server, monkeypatch):
    monkeypatch.setattr(results, "MOST_REQUESTS", 8)
    rows = asked_rows(20)
    assert is_right(generate(batched(tmp_path, server, rows))[1], rows)
    counts = server.counts()
    assert len(counts["batches"]) == 3
    assert set(counts["asked_in_batches"].values()) == {1}


def test_the_limits_of_a_file():
    assert (results.MOST_REQUESTS, results.MOST_BYTES) == (50_000, 200_000_000)
    endpoint = EndpointConfig(url="http://host/v1", model="m")
    requests = [Request(f"h{n}", [{"role": "user", "content": "x" * 70_000_000}]) for n in range(4)]
    files = list(lines_of(requests, endpoint, GenerationConfig()))
    assert [[key for key, _ in file] for file in files] == [["h0", "h1"], ["h2", "h3"]]
    assert all(sum(len(line) for _, line in file) <= results.MOST_BYTES for file in files)


def test_a_conversation_takes_one_batch_a_turn(tmp_path, server):
    turns = [{"role": role, "content": text} for text in ("Hi", "Bye") for role in ("user", "assistant")]
    rows = [{**asked_rows(1, task="conversation")[0], "messages": turns}]
    produced, _ = generate(batched(tmp_path, server, rows))
    assert produced.counts.ok == 2
    assert len(server.counts()["batches"]) == 2


def test_a_batch_that_was_not_accepted_says_why_and_is_sent_again_by_the_next_run(tmp_path, server):
    errors = [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None, "param": None}]
    server.script(batch={"end": "failed", "errors": errors})
    rows = asked_rows(3)
    spec = batched(tmp_path, server, rows)
    with pytest.raises(TeacherError, match=r"did not accept the batch batch_0 of 3 requests: Enqueued token limit"):
        generate(spec)
    assert not records_of(spec)
    assert is_right(generate(spec)[1], rows)


def test_a_batch_that_somebody_cancelled_keeps_what_it_answered(tmp_path, server):
    server.script(batch={"end": "cancelled"})
    rows = asked_rows(6)
    spec = batched(tmp_path, server, rows)
    with pytest.raises(TeacherError, match="was cancelled at the provider"):
        generate(spec)
    assert journal_lines(spec) == 3
    assert is_right(generate(spec)[1], rows)
    assert set(server.counts()["asked_in_batches"].values()) == {1, 2}


def test_a_refused_parameter_is_named(tmp_path, server):
    server.script(refuses={"temperature": [1]})
    spec = batched(tmp_path, server, asked_rows(3))
    with pytest.raises(TeacherError, match=r"parameters: \{temperature: 1\}"):
        generate(spec)
    assert not records_of(spec), "the next run sends another batch"


def test_the_budget_is_checked_before_a_batch_is_sent(tmp_path, server):
    spec = batched(tmp_path, server, asked_rows(10), budget_usd=79.0)
    with pytest.raises(BudgetError, match=r"may cost 80\.0000 USD"):
        generate(spec)
    assert not server.counts()["batches"]
    assert generate(spec.model_copy(update={"budget_usd": 80.0}))[0].counts.ok == 10


def held_batch(spec, server):
    """A batch that goes on at the provider after its run was killed."""
    server.script(batch={"hold": True})
    kill_when(start(spec), lambda: any(json.loads(path.read_text())["batch_id"] for path in records_of(spec)))


def test_a_batch_under_way_counts_against_the_budget(tmp_path, server):
    first = batched(tmp_path, server, asked_rows(6), budget_usd=80.0)
    held_batch(first, server)
    second = batched(tmp_path, server, asked_rows(6, start=10), budget_usd=80.0, name="second")
    with pytest.raises(
        BudgetError, match=r"may cost 48\.0000 USD.*32\.0000 of .* are left: 0\.0000 are spent.*48\.0000"
    ):
        generate(second)
    assert len(server.counts()["batches"]) == 1
    server.script(batch={})
    whole_after(first, server, asked_rows(6))
    assert generate(second)[0].counts.ok == 6, "6 dollars are spent, and no longer 48 reserved"


def test_a_shard_records_its_batch_under_way_before_it_sends_the_rest(tmp_path, server):
    rows = asked_rows(12)
    held_batch(batched(tmp_path, server, rows[:6], budget_usd=80.0), server)
    server.script(batch={})
    whole = batched(tmp_path, server, rows, budget_usd=80.0)
    _, table = generate(whole)
    assert is_right(table, rows)
    counts = server.counts()
    assert len(counts["batches"]) == 2
    assert set(counts["asked_in_batches"].values()) == {1}


def test_two_shards_in_parallel_do_not_take_the_same_dollars(tmp_path, server):
    server.script(batch={"hold": True})
    specs = [
        batched(tmp_path, server, asked_rows(6, start=10 * n), budget_usd=80.0, name=f"shard-{n}") for n in range(2)
    ]
    children = [start(spec) for spec in specs]
    ended = wait([child.sentinel for child in children])
    assert len(ended) == 1, "one of the two stops at once"
    assert len(server.counts()["batches"]) == len(records_of(specs[0])) == 1
    server.script(batch={})
    assert sorted(finish(child) for child in children) == [0, 2]
    assert any("batches under way may cost 48.0000" in output_of(spec) for spec in specs)
    assert len(server.counts()["batches"]) == 1


def test_what_a_record_holds_open(tmp_path):
    asked: list[tuple[float, float]] = []
    stored: set[str] = set()
    batching = Batching(tmp_path / "batches", lambda *amounts: asked.append(amounts), lambda _: stored)
    one = BatchRecord(["a", "b", "c"], most_usd=[1.0, 2.0, 4.0])
    batching.reserve(one, 7.0)
    batching.reserve(BatchRecord(["d"], most_usd=[8.0]), 8.0)
    stored.add("c")
    batching.save(BatchRecord(["e"]))  # of an older version
    batching.reserve(BatchRecord(["f"], most_usd=[16.0]), 16.0)
    stored.clear()
    batching.recorded(one, {"a"})
    batching.reserve(BatchRecord(["g"], most_usd=[32.0]), 32.0)
    assert asked == [(7.0, 0.0), (8.0, 7.0), (16.0, 3.0 + 8.0), (32.0, 6.0 + 8.0 + 16.0)]


def test_a_batch_that_cannot_be_afforded_leaves_no_record(tmp_path):
    def refuse(*_):
        raise BudgetError("no")

    batching = Batching(tmp_path / "batches", refuse, lambda _: ())
    with pytest.raises(BudgetError):
        batching.reserve(BatchRecord(["a"], most_usd=[1.0]), 1.0)
    assert not list((tmp_path / "batches").glob("*.json"))


def test_failed_answers_that_were_paid_for_count_when_they_are_sent_again(tmp_path, server):
    paid = {"match": "<1>", "fault": "no_choices", "times": 1}  # has tokens, but no answer
    server.script(rules=[paid])
    price = {"prompt": 1_000_000, "completion": 0, "batch_discount": 0.5}  # two words, estimated as three tokens
    spec = batched(tmp_path, server, asked_rows(2), price=price, budget_usd=3.4)
    with pytest.raises(BudgetError, match=r"may cost 2\.5000 USD.* 2\.4000 of .*1\.0000 are spent"):
        generate(spec)


def received_of(folder) -> list[str]:
    segments = sorted((folder / "responses" / "segments").glob("*.parquet"))
    return [reply["received"] for segment in segments for reply in parquet.read_table(segment) if reply["received"]]


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


CALLS = ["POST /v1/files", "POST /v1/batches", "GET /v1/batches/batch_0", "GET /v1/batches"]
ODD = ["<html>", "", "[]", '{"id": 7}', '{"x": 1e999}', "[" * 2000, '{"id": "", "status": ["x"]}']


@pytest.mark.parametrize("call", CALLS)
def test_an_odd_answer_of_the_batch_api_is_a_failed_call(tmp_path, server, monkeypatch, call):
    monkeypatch.setattr(provider, "back_off_s", lambda *_: 0.0)
    lost = {"lose_reply": 1} if call == "GET /v1/batches" else {}  # or nobody asks for the list
    server.script(batch={"odd": {call: list(ODD)}, **lost})
    rows = asked_rows(3)
    whole_after(batched(tmp_path, server, rows, endpoint={"attempts": len(ODD) + 2}), server, rows)
    assert len(server.counts()["batches"]) == 1


def test_an_api_that_only_gives_odd_answers_is_named(tmp_path, server):
    server.script(batch={"odd": {"POST /v1/files": ["<html>"]}})
    with pytest.raises(TeacherError, match=r"batch API failed: 127\.0\.0\.1: not JSON: <html>[\s\S]*batch: false"):
        generate(batched(tmp_path, server, asked_rows(3), endpoint={"attempts": 1}))


@pytest.mark.parametrize("headers", [{"retry-after": "3600"}, {"retry-after-ms": "3600000"}])
def test_too_long_a_wait_of_the_batch_api_stops_resumably(tmp_path, server, headers):
    server.script(batch={"statuses": [429], "headers": headers})
    rows = asked_rows(3)
    spec = batched(tmp_path, server, rows)
    with pytest.raises(EndpointError, match=r"asks to wait 3,600 s .*longest_wait_seconds is 300"):
        generate(spec)
    whole_after(spec, server, rows)


def test_a_wait_of_the_batch_api_is_logged(tmp_path, server, monkeypatch, caplog):
    monkeypatch.setattr(provider, "back_off_s", lambda *_: 0.0)
    server.script(batch={"statuses": [429], "headers": {"retry-after": "20"}})
    generate(batched(tmp_path, server, asked_rows(3)))
    assert "127.0.0.1 asks to wait 20 s" in caplog.text


def test_the_progress_of_a_batch_is_reported(tmp_path, server):
    server.script(batch={"hold": True})
    lines = []

    def listener(progress):
        if progress.label.startswith("batches of") and not progress.ended:
            lines.append(str(progress))
            server.script(batch={})

    with listen(listener):
        generate(batched(tmp_path, server, asked_rows(4)))
    assert "batches of made: 2 of 4, batch_0: in_progress, 2 of 4 completed" in lines[0]
    assert "batches of made: 4 of 4, batch_0: completed, 4 of 4 completed" in lines[1]


def test_calls_that_fail_for_a_while_are_repeated(tmp_path, server):
    server.script(batch={"statuses": [503, 429, 500]})
    rows = asked_rows(3)
    whole_after(batched(tmp_path, server, rows, endpoint={"attempts": 5}), server, rows)


def test_an_endpoint_without_a_batch_api_is_named(tmp_path, server):
    server.script(batch={"statuses": [404]})
    with pytest.raises(EndpointError, match=r"has no POST /v1/files \(404\)[\s\S]*batch: false"):
        generate(batched(tmp_path, server, asked_rows(3)))


def test_a_wrong_place_is_named_as_for_single_requests(tmp_path, server):
    with wrong_place(redirect(307, "https://elsewhere.example/v1/files")) as place:
        with pytest.raises(EndpointError, match=r"redirects \(307\) to another host, elsewhere\.example"):
            generate(batched(tmp_path / "moved", server, asked_rows(3), endpoint={"url": f"{place.url}/v1"}))
        assert len(place.requests) == 1
    with pytest.raises(EndpointError, match="nothing listens on"):
        generate(batched(tmp_path / "gone", server, asked_rows(3), endpoint={"url": f"{place.url}/v1", "attempts": 1}))


def test_the_key_is_sent_and_hidden(tmp_path, server, monkeypatch):
    monkeypatch.setenv("MADE_KEY", "sk-very-secret-0123456789")
    server.script(key="sk-very-secret-0123456789")
    rows = asked_rows(2)
    assert is_right(generate(batched(tmp_path, server, rows, endpoint={"api_key": "MADE_KEY"}))[1], rows)
    server.script(key="another")
    with pytest.raises(EndpointError, match="401") as caught:
        generate(batched(tmp_path / "wrong", server, rows, endpoint={"api_key": "MADE_KEY"}))
    assert os.environ["MADE_KEY"] not in str(caught.value)


def test_lines_that_name_no_request_are_counted(caplog):
    content = b'{"custom_id": "a", "response": null}\n{"custom\n[]\n{"custom_id": 3}\n\xff\n\n{"custom_id": "b"'
    assert list(results_in(content)) == ["a", "b"]
    assert "4 lines of a batch's results name no request" in caplog.text


def test_settings_that_do_not_fit_a_batch_are_refused():
    base = {"url": "http://host/v1", "model": "m", "batch": True}
    with pytest.raises(ValidationError, match="a batch is not streamed"):
        EndpointConfig(**base, stream=True)
    with pytest.raises(ValidationError, match=r"needs `price\.batch_discount`"):
        EndpointConfig(**base, price={"prompt": 1})


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
