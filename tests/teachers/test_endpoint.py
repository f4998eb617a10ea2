"""The API teacher against a real server: every fault, the rates, the end of a run, and the key that stays hidden."""

import asyncio
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import BudgetError, EndpointError, TeacherError
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.secrets import hide_key, is_secret
from testing.fault_server import FaultServer, answer_to

KEY = "sk-very-secret-0123456789"


@pytest.fixture(scope="module")
def running():
    with FaultServer() as server:
        yield server


@pytest.fixture
def server(running):
    """The server, with the usual script and nothing counted."""
    running.script()
    return running


def teacher_at(server, generation=None, **endpoint) -> ApiTeacher:
    settings = {"url": server.url, "model": "made", "concurrency": 8, **endpoint}
    return ApiTeacher(EndpointConfig(**settings), GenerationConfig(**(generation or {})))


def questions(count, text="question {}"):
    return [Request(f"h{n}", [{"role": "user", "content": text.format(n)}]) for n in range(count)]


def ask(teacher, asked):
    """The replies by request hash; checks that every request is recorded exactly once."""
    replies = []
    teacher.answer(asked, replies.append)
    assert Counter(r.request_hash for r in replies) == Counter(q.request_hash for q in asked)
    return {reply.request_hash: reply for reply in replies}


def ask_one(server, **endpoint):
    return ask(teacher_at(server, **endpoint), questions(1))["h0"]


def test_every_question_is_answered_once_and_never_more_at_once_than_allowed(server):
    server.script(latency=0.02)
    asked = questions(100)
    replies = ask(teacher_at(server, concurrency=7), asked)
    counts = server.counts()
    assert {h: r.text for h, r in replies.items()} == {q.request_hash: answer_to(q.messages) for q in asked}
    assert all(r.ok and r.attempts == 1 and r.latency_ms > 0 for r in replies.values())
    assert counts["total"] == 100
    assert counts["most_in_flight"] == 7


FAULTS = {
    "408": {"fault": "status", "status": 408},
    "409": {"fault": "status", "status": 409},
    "498": {"fault": "status", "status": 498},
    "a router that is full": {"fault": "status", "status": 400, "text": "upstream overloaded, try again"},
    "an error in the choice": {
        "fault": "say",
        "text": "half an",
        "choice": {"error": {"code": 502, "message": "down"}},
    },
    "the network": {"fault": "say", "text": "half an", "finish_reason": "network_error"},
    "429": {"fault": "status", "status": 429},
    "429 that says when": {"fault": "status", "status": 429, "headers": {"retry-after": "1"}},
    "500": {"fault": "status", "status": 500, "body": ["no", "object"]},
    "503": {"fault": "status", "status": 503, "headers": {"retry-after-ms": "10"}},
    "hang": {"fault": "hang", "seconds": 30},
    "drop": {"fault": "drop"},
    "cut": {"fault": "cut"},
    "broken json": {"fault": "broken_json"},
    "no choices": {"fault": "no_choices"},
    "interrupted": {"fault": "say", "text": "half an", "finish_reason": "insufficient_system_resource"},
}
CODES = {
    "429 that says when": "http_429",
    "hang": "timeout",
    "drop": "connection",
    "cut": "connection",
    "broken json": "bad_response",
    "no choices": "bad_response",
    "interrupted": "bad_response",
    "an error in the choice": "bad_response",
    "the network": "bad_response",
    "a router that is full": "http_400",
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_heals_by_itself_is_asked_again(server, name):
    server.script(rules=[{**FAULTS[name], "times": 1}])
    reply = ask_one(server, timeout_seconds=2)
    assert reply.text == answer_to(questions(1)[0].messages)
    assert reply.attempts == server.counts()["total"] == 2


@pytest.mark.parametrize("name", FAULTS)
def test_what_does_not_heal_is_a_failed_reply_with_a_code(server, name):
    server.script(rules=[FAULTS[name]])
    reply = ask_one(server, timeout_seconds=1, attempts=2)
    assert (reply.ok, reply.finish_reason, reply.text) == (False, "error", None)
    assert reply.error_code == CODES.get(name, f"http_{name}")
    assert reply.error
    assert reply.attempts == server.counts()["total"] == 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_cannot_work_is_sent_once_and_the_others_are_not_held_up(server, status):
    server.script(rules=[{"match": "question 1", "fault": "status", "status": status, "text": "no " * 1000}])
    replies = ask(teacher_at(server), questions(5))
    assert replies["h1"].error_code == f"http_{status}"
    assert len(replies["h1"].error) < 400
    assert [h for h, r in replies.items() if not r.ok] == ["h1"]
    assert server.counts()["total"] == 5


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_an_answer_that_was_cut_off_is_bought_once_and_kept(server, finish):
    server.script(rules=[{"fault": "say", "text": "half an", "finish_reason": finish}])
    reply = ask_one(server)
    assert (reply.ok, reply.text, reply.finish_reason) == (True, "half an", finish)
    assert server.counts()["total"] == 1


@pytest.mark.parametrize("finish", ["stop", "content_filter"])
def test_an_answer_without_content_is_an_empty_text(server, finish):
    server.script(rules=[{"fault": "null_content", "finish_reason": finish}])
    reply = ask_one(server)
    assert (reply.ok, reply.text, reply.finish_reason, reply.attempts) == (True, "", finish, 1)


def test_a_storm_of_429_loses_nothing_and_is_not_multiplied(server):
    refusal = {"fault": "status", "status": 429, "headers": {"retry-after-ms": "50"}, "times": 100}
    server.script(rules=[refusal])
    replies = ask(teacher_at(server, concurrency=32, attempts=20), questions(150))
    counts = server.counts()
    assert all(reply.ok for reply in replies.values())
    assert counts["total"] == 150 + 100
    assert sum(reply.attempts for reply in replies.values()) == counts["total"]
    assert counts["most_in_flight"] <= 32


def test_while_the_account_is_paused_nothing_else_is_sent(server):
    refusal = {"fault": "status", "status": 429, "headers": {"retry-after": "2"}, "times": 1, "skip": 10}
    server.script(latency=0.01, rules=[refusal])
    ask(teacher_at(server, concurrency=4), questions(60))
    times = server.counts()["times"]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(times) == 61
    assert max(gaps) > 1.9
    assert gaps.index(max(gaps)) < 30  # the pause came amid the others, not only before the one that was refused


def test_the_rate_of_requests_is_kept(server):
    ask(teacher_at(server, requests_per_minute=1200), questions(25))
    times = server.counts()["times"]
    for n in (5, 10, 24):
        shortest = min(after - before for before, after in zip(times, times[n:], strict=False))
        assert shortest > n * 60 / 1200 - 0.05


def test_the_rate_of_tokens_is_kept_by_what_was_used(server):
    server.script(rules=[{"fault": "say", "text": "word " * 30}])  # far more than was expected of the first
    ask(teacher_at(server, {"max_new_tokens": 1}, tokens_per_minute=12_000, concurrency=4), questions(20))
    counts = server.counts()
    beyond = sum(counts["tokens"]) - 4 * 32  # the first four went out before anything was known
    assert counts["times"][-1] - counts["times"][0] > 0.8 * beyond / 200


def test_what_failed_but_was_counted_is_paid_for(server):
    server.script(rules=[{"fault": "no_choices", "times": 1}])
    reply = ask_one(server, price={"prompt": 1_000_000, "completion": 2_000_000})
    assert (reply.prompt_tokens, reply.completion_tokens) == (2, 2)
    assert reply.cost_usd == 2 * (2 * 1 + 2 * 2)


def test_what_a_request_carries(server):
    asked = [Request("h", [{"role": "user", "content": "?"}], {"type": "json_schema", "json_schema": {"name": "a"}})]
    ask(teacher_at(server), asked)
    greedy = server.counts()["last_body"]
    assert greedy == {
        "model": "made",
        "messages": asked[0].messages,
        "temperature": 0,
        "max_tokens": 256,
        "n": 1,
        "response_format": asked[0].response_format,
    }
    sampling = {"temperature": 0.5, "top_p": 0.9, "max_new_tokens": 7}
    extra = {"max_tokens_field": "max_completion_tokens", "json_mode": "json_object", "extra_body": {"top_k": 3}}
    ask(teacher_at(server, sampling, top_logprobs=2, **extra), asked)
    sampled = server.counts()["last_body"]
    assert isinstance(sampled.pop("seed"), int)
    assert {k: v for k, v in sampled.items() if k not in ("model", "messages", "n")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 7,
        "response_format": {"type": "json_object"},
        "logprobs": True,
        "top_logprobs": 2,
        "top_k": 3,
    }
    ask(teacher_at(server, json_mode="none"), asked)
    assert "response_format" not in server.counts()["last_body"]


def test_samples_of_one_prompt_draw_with_seeds_of_their_own(server):
    seeds = []
    for request_hash in ("a", "b", "a"):
        ask(teacher_at(server, {"temperature": 1}), [Request(request_hash, [{"role": "user", "content": "?"}])])
        seeds.append(server.counts()["last_body"]["seed"])
    assert seeds[0] == seeds[2] != seeds[1]


def test_logprobs_are_kept_as_far_as_the_server_gives_them(server):
    server.script(logprobs=3)
    given = json.loads(ask_one(server, top_logprobs=20).logprobs)
    assert [len(token["top_logprobs"]) for token in given["content"]] == [3, 3]
    server.script(logprobs=0)
    assert ask_one(server, top_logprobs=20).logprobs is None


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart_from_the_text(server, field):
    server.script(rules=[{"fault": "message", "message": {field: "2 and 2"}}])
    reply = ask_one(server)
    assert reply.reasoning == "2 and 2"
    assert "2 and 2" not in reply.text


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


FATAL = [
    ({"status": 402}, "no money left"),
    ({"status": 403}, "not allowed to use this model"),
    ({"status": 404}, "usually ends in /v1"),
    ({"status": 429, "body": {"error": {"code": "insufficient_quota", "message": "pay"}}}, "waiting does not help"),
    ({"status": 429, "body": {"error": {"type": "exceeded_current_quota_error"}}}, "no money left"),
    ({"status": 400, "text": "Your credit balance is too low to access the API"}, "credit balance.*\n.*no money left"),
    ({"status": 429, "headers": {"retry-after": "3600"}}, "asks to wait 3,600 s .*longest_wait_seconds is 300"),
    ({"status": 429, "text": "Please try again in 7m12s."}, "asks to wait 432 s"),
    ({"status": 503, "body": [{"error": {"details": [{"retryDelay": "301s"}]}}]}, "asks to wait 301 s"),
]


@pytest.mark.parametrize(("answer", "way_out"), FATAL)
def test_what_no_request_can_survive_stops_everything(server, answer, way_out):
    server.script(latency=0.02, rules=[{"fault": "status", **answer}])
    with pytest.raises(EndpointError, match=way_out):
        teacher_at(server, concurrency=3).answer(questions(200), lambda reply: None)
    assert server.counts()["total"] <= 3


def test_where_recording_fails_what_is_in_flight_is_still_recorded(server):
    server.script(latency=0.05)
    recorded = []

    def record(reply):
        recorded.append(reply)
        if len(recorded) >= 5:
            raise BudgetError(f"spent after {len(recorded)}")

    with pytest.raises(BudgetError, match="spent after 5"):
        teacher_at(server, concurrency=4).answer(questions(100), record)
    total = server.counts()["total"]
    assert len(recorded) == total
    assert 5 <= total <= 5 + 4


def test_what_waits_for_another_attempt_is_given_up_when_recording_fails(server):
    refusal = {"match": "question 0", "fault": "status", "status": 500, "headers": {"retry-after": "110"}}
    server.script(latency=0.02, rules=[refusal])

    def record(reply):
        raise BudgetError("spent")

    with pytest.raises(BudgetError):
        teacher_at(server, concurrency=2).answer(questions(2), record)
    assert server.counts()["by_prompt"]["question 0"] == 1


def test_it_answers_where_a_loop_is_running(server):
    async def main():
        threads = []
        teacher_at(server).answer(questions(10), lambda reply: threads.append(threading.get_ident()))
        return threads

    threads = asyncio.run(main())
    assert (len(threads), len(set(threads))) == (10, 1)


def test_calls_from_two_threads_keep_the_limits_together(server):
    server.script(latency=0.02)
    teacher, replies = teacher_at(server, concurrency=3), []
    threads = [threading.Thread(target=teacher.answer, args=(questions(10), replies.append)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 20
    assert server.counts()["most_in_flight"] == 3


def test_nothing_to_ask_is_nothing_sent(server):
    assert ask(teacher_at(server), []) == {}
    assert server.counts()["total"] == 0


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
import sys
from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Request
asked = [Request(str(n), [{"role": "user", "content": str(n)}]) for n in range(100)]
try:
    ApiTeacher(EndpointConfig(url=sys.argv[1], model="made", concurrency=4), GenerationConfig()).answer(asked, id)
except KeyboardInterrupt:
    sys.exit(77)
"""


def test_an_interrupt_ends_it_and_nothing_new_is_sent(server):
    hang = {"fault": "hang", "seconds": 120, "skip": 1}  # longer than the test may last; the first one is sent alone
    server.script(rules=[hang])
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, server.url], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    while server.counts()["total"] < 5:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 77
    assert server.counts()["total"] == 5


def test_the_identity_changes_with_what_would_answer_differently(server):
    def identity(**changes):
        teacher = teacher_at(server, **changes)
        return json.dumps([teacher.identity, teacher.revision], sort_keys=True)

    same = identity()
    changes = [
        {"url": "http://127.0.0.1:1/v1"},
        {"model": "b"},
        {"revision": "2"},
        {"extra_body": {"top_k": 1}},
        {"top_logprobs": 1},
        {"json_mode": "none"},
    ]
    assert len({same, *(identity(**change) for change in changes)}) == 1 + len(changes)
    assert identity(concurrency=3, timeout_seconds=9, attempts=2, url=server.url + "/") == same


GEMINI = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota."}}
ASKED = {
    "in the details": {"body": [{"error": {**GEMINI["error"], "details": [{"retryDelay": "1.2s"}]}}]},
    "in words": {"text": "Rate limit reached. Please try again in 1.2s."},
    "until a limit is reset": {"headers": {"x-ratelimit-reset-tokens": "1.2s", "x-ratelimit-remaining-tokens": "0"}},
}


@pytest.mark.parametrize("name", ASKED)
def test_a_wait_is_kept_however_the_server_names_it(server, name):
    server.script(rules=[{"fault": "status", "status": 429, "times": 1, **ASKED[name]}])
    assert ask_one(server).ok
    first, second = server.counts()["times"]
    assert second - first >= 1.2


def test_a_long_wait_is_said(server, caplog):
    server.script(rules=[{"match": "question 0", "fault": "status", "status": 429, "headers": {"retry-after": "60"}}])

    def record(reply):
        raise BudgetError("enough seen")

    with pytest.raises(BudgetError):
        teacher_at(server, concurrency=2).answer(questions(2), record)
    assert "127.0.0.1 asks to wait 60 s" in caplog.text


def test_the_longest_wait_is_that_of_the_config(server):
    server.script(rules=[{"fault": "status", "status": 429, "headers": {"retry-after": "3"}}])
    with pytest.raises(TeacherError, match=r"asks to wait 3 s .*longest_wait_seconds is 2: run again after that time"):
        ask_one(server, longest_wait_seconds=2)
    assert server.counts()["total"] == 1
