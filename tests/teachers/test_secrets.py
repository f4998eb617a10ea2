"""The key of an endpoint is sent, and hidden wherever it could be seen; a placeholder is no secret."""

import json
import logging

import pytest
from pydantic import ValidationError

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import TeacherError
from distill_dagster.teachers.secrets import hide_key, is_secret
from testing.endpoint_teacher import ask_one, questions, teacher_at

KEY = "sk-very-secret-0123456789"


def test_a_missing_key_is_said_before_anything_is_sent(server, monkeypatch):
    monkeypatch.delenv("MADE_KEY", raising=False)
    with pytest.raises(TeacherError, match="MADE_KEY, which is not set"):
        teacher_at(server, api_key="MADE_KEY").answer(questions(3), print)
    monkeypatch.setenv("MADE_KEY", "  ")
    with pytest.raises(TeacherError, match="MADE_KEY, which is empty"):
        teacher_at(server, api_key="MADE_KEY").answer(questions(3), print)
    monkeypatch.setenv("MADE_KEY", f"{KEY}\n{KEY}")
    with pytest.raises(TeacherError, match="copy the key again") as caught:
        teacher_at(server, api_key="MADE_KEY").answer(questions(3), print)
    assert KEY not in str(caught.value)
    assert server.counts()["total"] == 0


def test_a_wrong_key_stops_everything_and_is_never_shown(server, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    server.script(key="another", latency=0.05)
    monkeypatch.setenv("MADE_KEY", KEY)
    replies = []
    with pytest.raises(TeacherError, match=r"127\.0\.0\.1 answered 401: .*\*\*\*[\s\S]*MADE_KEY") as caught:
        teacher_at(server, api_key="MADE_KEY", concurrency=4).answer(questions(500), replies.append)
    counts = server.counts()
    assert counts["last_headers"]["Authorization"] == f"Bearer {KEY}"  # it was sent, and so could have been shown
    assert counts["total"] <= 4
    assert replies == []
    chain, error = "", caught.value
    while error is not None:
        chain, error = chain + repr(error), error.__cause__ or error.__context__
    out, err = capfd.readouterr()
    assert KEY not in chain + caplog.text + out + err


def test_a_key_that_a_broken_body_repeats_is_not_in_the_reply(server, monkeypatch):
    server.script(rules=[{"fault": "say", "text": f"Bearer {KEY}", "finish_reason": "abort"}])
    monkeypatch.setenv("MADE_KEY", KEY)
    reply = ask_one(server, api_key="MADE_KEY", attempts=1)
    assert reply.error_code == "bad_response"
    assert "Bearer ***" in reply.error
    assert KEY not in repr(reply)


@pytest.mark.parametrize("key", ["EMPTY", "ollama", KEY])
@pytest.mark.parametrize("text", ["{}", '{{"label": "{}", "{}": ["a", "{}"]}}', "not {} but {}s"])
def test_an_answer_that_holds_the_key_is_kept_as_it_is(server, monkeypatch, key, text):
    answer, reasoning = text.replace("{}", key).replace("{{", "{").replace("}}", "}"), f"It is {key}."
    message = {"content": answer, "reasoning_content": reasoning}
    server.script(key=key, rules=[{"fault": "say", "text": answer, "message": message}])
    monkeypatch.setenv("MADE_KEY", key)
    reply = ask_one(server, api_key="MADE_KEY", top_logprobs=1)
    assert (reply.text, reply.reasoning) == (answer, reasoning)
    assert [token["token"] for token in json.loads(reply.logprobs)["content"]] == answer.split()


@pytest.mark.parametrize("status", [400, 500])
def test_a_key_that_an_error_repeats_is_hidden_and_a_placeholder_is_not(server, monkeypatch, status):
    for key, said in ((KEY, "bad key ***, no model"), ("EMPTY", "bad key EMPTY, no model")):
        server.script(rules=[{"fault": "status", "status": status, "text": f"bad key {key}, no model"}])
        monkeypatch.setenv("MADE_KEY", key)
        reply = ask_one(server, api_key="MADE_KEY", attempts=1)
        assert reply.error_code == f"http_{status}"
        assert said in reply.error


@pytest.mark.parametrize("fault", ["say", "status"])
def test_a_key_is_hidden_before_an_error_is_cut(server, monkeypatch, fault):
    monkeypatch.setenv("MADE_KEY", KEY)
    for before in range(0, 300, 5):
        text = "x" * before + KEY + "y" * 400
        server.script(rules=[{"fault": fault, "status": 400, "text": text, "finish_reason": "abort"}])
        reply = ask_one(server, api_key="MADE_KEY", attempts=1)
        assert KEY[:5] not in reply.error


@pytest.mark.parametrize("key", ["short-7", "EMPTY", "ollama", "lm-studio", "sk-no-key-required", "NOT-NEEDED", None])
def test_short_keys_and_placeholders_are_no_secrets(key):
    assert not is_secret(key)
    assert hide_key(f"an error about {key}", key) == f"an error about {key}"


def test_a_url_with_a_password_in_it_is_refused():
    with pytest.raises(ValidationError):
        EndpointConfig(url="https://me:secret@host/v1", model="m")


def test_the_right_key_is_sent_and_no_key_is_no_header(server, monkeypatch):
    server.script(key=KEY)
    monkeypatch.setenv("MADE_KEY", f" {KEY}\n")
    assert ask_one(server, api_key="MADE_KEY").ok
    server.script()
    assert ask_one(server).ok
    assert "Authorization" not in server.counts()["last_headers"]
