"""Errors as providers give them, and what follows: ask again, a failed row for good, or an end of the shard."""

import json

import pytest

from distill_dagster.errors import TeacherError
from distill_dagster.teachers.completion import read_reply
from distill_dagster.teachers.faults import may_heal
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.retries import AttemptError, refusal
from tests.teachers.fault_texts import BODIES, LATER, NEVER, NOW, STATUSES, STOP, choice

REQUEST = Request("h", [{"role": "user", "content": "twelve chars"}])


def when(error: AttemptError) -> str:
    if not may_heal(error.code):
        assert not error.passing
        return NEVER
    return NOW if error.passing else LATER


@pytest.mark.parametrize("name", STATUSES)
def test_what_follows_a_status(name):
    status, body, follows = STATUSES[name]
    if follows == STOP:
        with pytest.raises(TeacherError, match=rf"host answered {status}: [\s\S]+\n  \S"):
            refusal(status, {}, body, "host", "MY_KEY")
    else:
        error = refusal(status, {}, body, "host", "MY_KEY")
        assert when(error) == follows
        assert error.code


@pytest.mark.parametrize("name", BODIES)
def test_what_follows_a_body_without_an_answer(name):
    body, follows = BODIES[name]
    content = json.dumps(body, ensure_ascii=False).encode()
    if follows == STOP:
        with pytest.raises(TeacherError, match="no money left"):
            read_reply(receive(content), REQUEST)
    else:
        with pytest.raises(AttemptError) as caught:
            read_reply(receive(content), REQUEST)
        assert when(caught.value) == follows
        assert caught.value.received == content.decode(), "what came is kept"


@pytest.mark.parametrize(("word", "is_overload"), [("rate_limited", True), ("429", True), ("network", False)])
def test_an_answer_that_ends_for_the_rate_slows_down(word, is_overload):
    with pytest.raises(AttemptError) as caught:
        read_reply(receive(json.dumps(choice(word)).encode()), REQUEST)
    assert caught.value.overload == is_overload


@pytest.mark.parametrize(
    "code",
    [
        "http_400",
        "http_408",
        "http_422",
        "http_429",
        "http_498",
        "http_503",
        "timeout",
        "connection",
        "bad_response",
        "new",
    ],
)
def test_a_failed_reply_may_heal_unless_its_code_is_listed(code):
    assert may_heal(code)


@pytest.mark.parametrize(
    "code", [None, "E010", "E015", "previous_turn_failed", "content_filter", "http_413", "http_414"]
)
def test_what_another_try_would_only_repeat(code):
    assert not may_heal(code)


def test_a_prompt_that_the_server_repeats_says_nothing_of_the_account():
    prompt = "My credit balance is too low and I exceeded your current quota."
    body = {
        "detail": [
            {"type": "string_type", "loc": ["body", "messages"], "msg": "Input should be a string", "input": prompt}
        ]
    }
    assert when(refusal(422, {}, body, "host", None)) == LATER


def test_deep_and_odd_errors_are_read_without_an_end():
    deep = {"error": None}
    for _ in range(2000):
        deep = {"error": deep, "message": [[deep]]}
    for body in (deep, [deep] * 3, {"error": [1, None, {"message": {"message": "x"}}]}, {"code": 1e400}, b"x", 7, True):
        assert refusal(500, {}, body, "host", None).passing
