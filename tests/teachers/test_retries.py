"""What a refusal means, and how long to wait after it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.errors import TeacherError
from distill_dagster.teachers.retries import (
    CAP_S,
    MESSAGE_CHARACTERS,
    RETRY_AFTER_CAP_S,
    back_off_s,
    may_heal,
    refusal,
    retry_after_s,
)


@given(st.integers(1, 100), st.one_of(st.none(), st.floats(0, RETRY_AFTER_CAP_S)))
def test_a_wait_is_at_least_what_was_asked_for_and_bounded(attempt, asked):
    waited = back_off_s(attempt, asked)
    assert (asked or 0) <= waited <= (asked or 0) + min(CAP_S, 2.0 ** (attempt - 1))


def test_waits_are_spread_over_all_of_their_range():
    waits = [back_off_s(3) for _ in range(2000)]
    assert min(waits) < 0.4
    assert max(waits) > 3.6


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "86400"}, RETRY_AFTER_CAP_S),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_retry_after_in_all_its_forms(headers, seconds):
    assert retry_after_s(headers) == seconds


def test_retry_after_as_a_date_to_come():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (retry_after_s({"retry-after": date}) or 0) <= 60


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_what_heals(status):
    assert refusal(status, {}, None, "host", None).passing


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422])
def test_what_does_not(status):
    error = refusal(status, {}, "x" * 5000, "host", None)
    assert not error.passing
    assert error.code == f"http_{status}"
    assert len(str(error)) < MESSAGE_CHARACTERS + 40


@pytest.mark.parametrize("code", ["http_408", "http_409", "http_429", "http_500", "http_503", "timeout", "connection"])
def test_a_failed_reply_may_heal_in_the_next_run(code):
    assert may_heal(code)


@pytest.mark.parametrize("code", [None, "E010", "E015", "previous_turn_failed", "http_400", "http_413", "http_422"])
def test_what_another_try_would_only_repeat(code):
    assert not may_heal(code)


def test_only_429_and_503_say_that_the_account_is_asked_too_fast():
    overloaded = [status for status in range(400, 600) if status not in (401, 402, 403, 404)]
    assert [s for s in overloaded if refusal(s, {}, None, "host", None).overload] == [429, 503]


@pytest.mark.parametrize("body", [None, "", [], {"error": None}, {"error": "text"}, {"detail": "x"}, {"message": "x"}])
def test_no_body_is_too_strange(body):
    assert "host answered 400" in str(refusal(400, {}, body, "host", None))


@pytest.mark.parametrize("body", ["too long", {"message": "too long"}, {"detail": "too long"}, {"error": "too long"}])
def test_what_the_server_said_is_in_the_message(body):
    assert str(refusal(400, {}, body, "host", None)) == "host answered 400: too long"


@pytest.mark.parametrize(("variable", "way_out"), [("MY_KEY", "MY_KEY"), (None, "`api_key`")])
def test_a_refused_key_is_named_by_its_variable(variable, way_out):
    with pytest.raises(TeacherError, match=f"host answered 401[\\s\\S]*{way_out}"):
        refusal(401, {}, {"error": {"message": "no"}}, "host", variable)
