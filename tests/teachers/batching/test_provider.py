"""Calls of a batch API that fail, wait, or lead to a wrong place."""

import os

import pytest

from distill_dagster.errors import EndpointError, TeacherError
from distill_dagster.teachers.batching import provider
from testing.batches import batched, whole_after
from testing.generation_contract import asked_rows, generate, is_right
from testing.wrong_places import redirect, wrong_place

pytestmark = pytest.mark.processes
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
