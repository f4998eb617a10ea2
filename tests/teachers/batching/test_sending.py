"""Requests through a provider's batch API: sent once, and recorded like any other reply."""

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import TeacherError
from distill_dagster.progress import listen
from distill_dagster.teachers.batching import results
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.responses import Responses
from testing.batches import DOLLARS, batched, records_of
from testing.generation_contract import asked_rows, at, generate, is_right, journal_lines, lasting, spec_for

pytestmark = pytest.mark.processes


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


def test_a_file_holds_as_many_requests_as_the_api_takes(tmp_path, server, monkeypatch):
    monkeypatch.setattr(results, "MOST_REQUESTS", 8)
    rows = asked_rows(20)
    assert is_right(generate(batched(tmp_path, server, rows))[1], rows)
    counts = server.counts()
    assert len(counts["batches"]) == 3
    assert set(counts["asked_in_batches"].values()) == {1}


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


def test_settings_that_do_not_fit_a_batch_are_refused():
    base = {"url": "http://host/v1", "model": "m", "batch": True}
    with pytest.raises(ValidationError, match="a batch is not streamed"):
        EndpointConfig(**base, stream=True)
    with pytest.raises(ValidationError, match=r"needs `price\.batch_discount`"):
        EndpointConfig(**base, price={"prompt": 1})
