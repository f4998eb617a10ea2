"""The API teacher against a real server: every fault, what a request carries, and the end of a run."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from distill_dagster.errors import BudgetError, EndpointError
from distill_dagster.teachers.protocol import Request
from testing.endpoint_teacher import ask, ask_one, questions, teacher_at
from testing.made_answers import answer_to

pytestmark = pytest.mark.usefixtures("short_waits")


def test_every_question_is_answered_once_and_never_more_at_once_than_allowed(server):
    server.script(latency=0.5)  # long enough for seven requests to be on their way on a busy machine
    asked = questions(28)
    replies = ask(teacher_at(server, concurrency=7), asked)
    counts = server.counts()
    assert {h: r.text for h, r in replies.items()} == {q.request_hash: answer_to(q.messages) for q in asked}
    assert all(r.ok and r.attempts == 1 and r.latency_ms > 0 for r in replies.values())
    assert counts["total"] == 28
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
    reply = ask_one(server, timeout_seconds=1, attempts=2, longest_wait_seconds=1)
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


FATAL = [
    ({"status": 402}, "no money left"),
    ({"status": 403}, "not allowed to use this model"),
    ({"status": 404}, "usually ends in /v1"),
    ({"status": 429, "body": {"error": {"code": "insufficient_quota", "message": "pay"}}}, "waiting does not help"),
    ({"status": 429, "body": {"error": {"type": "exceeded_current_quota_error"}}}, "no money left"),
    ({"status": 400, "text": "Your credit balance is too low to access the API"}, "credit balance.*\n.*no money left"),
    ({"status": 429, "headers": {"retry-after": "3600"}}, "asks to wait 3,600 s .*longest_wait_seconds is 300"),
    ({"status": 429, "text": "Please try again in 7m12s."}, "asks to wait 432 s"),
    (
        {"status": 429, "body": {"error": {"metadata": {"headers": {"X-RateLimit-Reset": "9999999999000"}}}}},
        "asks to wait more than a year",
    ),
    ({"status": 429, "text": "请在3600秒后重试"}, "asks to wait 3,600 s"),
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


@pytest.mark.processes
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
    assert process.wait() == 77
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
