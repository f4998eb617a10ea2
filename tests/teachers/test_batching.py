"""Requests through a provider's batch API: sent once, resumed after a kill, and recorded like any other reply."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import BudgetError, EndpointError, TeacherError
from distill_dagster.teachers.batching import provider, results, sending
from distill_dagster.teachers.batching.results import lines_of, results_in
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.responses import Responses
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


def test_lines_that_cannot_be_read_are_left_out():
    content = b'{"custom_id": "a", "response": null}\n{"custom\n[]\n{"custom_id": 3}\n\xff\n'
    assert list(results_in(content)) == ["a"]


def test_settings_that_do_not_fit_a_batch_are_refused():
    base = {"url": "http://host/v1", "model": "m", "batch": True}
    with pytest.raises(ValidationError, match="a batch is not streamed"):
        EndpointConfig(**base, stream=True)
    with pytest.raises(ValidationError, match=r"needs `price\.batch_discount`"):
        EndpointConfig(**base, price={"prompt": 1})
