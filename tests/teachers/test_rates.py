"""Requests wait as long as the limits of rate and of concurrency, and the server, demand."""

import itertools
import threading

import pytest

from distill_dagster.errors import BudgetError, TeacherError
from testing.endpoint_teacher import ask, ask_one, questions, teacher_at

pytestmark = pytest.mark.usefixtures("short_waits")


def test_a_storm_of_429_loses_nothing_and_is_not_multiplied(server):
    refusal = {"fault": "status", "status": 429, "headers": {"retry-after-ms": "50"}, "times": 100}
    ask_one(server)  # or the first request is sent alone
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
