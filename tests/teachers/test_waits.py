"""How long servers ask to wait, in headers, in the fields of an error and in its words."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.teachers.waits import CAP_S, RENEWS_S, back_off_s, named_wait_s, renewal_s, wait_s

ISO_LONG_AGO = "2024-01-27T12:30:00Z"


@given(st.integers(1, 100), st.one_of(st.none(), st.floats(0, 1e6)))
def test_a_wait_is_at_least_what_was_asked_for_and_bounded(attempt, asked):
    waited = back_off_s(attempt, asked)
    assert (asked or 0) <= waited <= (asked or 0) + min(CAP_S, 2.0 ** (attempt - 1))


@given(st.integers(2, 100), st.data())
def test_a_quota_of_a_minute_renews_before_the_last_attempt_whichever_was_refused_first(attempts, data):
    first = data.draw(st.integers(1, attempts - 1))
    waits = [renewal_s(attempt, attempts) for attempt in range(first, attempts)]
    assert sum(waits) >= RENEWS_S
    assert max(waits) <= RENEWS_S
    assert renewal_s(attempts, attempts) == 0, "the row has failed, and others are not held up"


def test_the_waits_of_six_attempts():
    assert [round(renewal_s(attempt, 6), 1) for attempt in range(1, 6)] == [1.9, 4, 8.6, 20, 60]


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
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "86400"}, 86_400),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "30s"}, 30),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 +99999999999999"}, None),
        ({"x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "3"}, None),
        (
            {
                "x-ratelimit-reset-requests": "2h",
                "x-ratelimit-remaining-requests": "3",
                "x-ratelimit-reset-tokens": "7.66s",
                "x-ratelimit-remaining-tokens": "0",
            },
            7.66,
        ),
        ({"anthropic-ratelimit-requests-reset": ISO_LONG_AGO, "anthropic-ratelimit-requests-remaining": "0"}, 0),
        ({"ratelimit-reset": "30"}, 30),
        ({"retry-after": "2", "x-ratelimit-reset-tokens": "6m0s"}, 2),
    ],
)
def test_waits_in_headers(headers, seconds):
    assert wait_s(headers, is_overload=True) == seconds


def test_a_limit_is_reset_with_every_response_and_delays_none_but_those_over_the_limit():
    assert wait_s({"x-ratelimit-reset-tokens": "6m0s"}, is_overload=False) is None
    assert named_wait_s({"x-ratelimit-reset-tokens": "6m0s"}) is None


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_reset_as_a_time_since_1970(unit):
    at = (datetime.now(UTC) + timedelta(seconds=60)).timestamp() * unit
    assert 50 < (wait_s({"x-ratelimit-reset": str(int(at))}, is_overload=True) or 0) <= 60


def test_retry_after_as_a_date_to_come():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (wait_s({"retry-after": date}) or 0) <= 60


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"details": [{"@type": "Help"}, {"@type": "RetryInfo", "retryDelay": "34.9s"}]}}, 34.9),
        ([{"error": {"details": [{"retryDelay": "34s"}]}}], 34),
        ({"error": {"retry_delay": {"seconds": 34, "nanos": 500_000_000}}}, 34.5),
        ({"retry_after": 5}, 5),
        ({"error": {"retry_after_ms": 1500}}, 1.5),
        ({"parameters": {"retry_after": "12"}}, 12),
        ({"retry_after": None}, None),
        ({"retry_after": [1]}, None),
        ("retry_after", None),
    ],
)
def test_waits_in_the_fields_of_an_error(body, seconds):
    assert wait_s({}, body) == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached: Limit 15000, Used 11972, Requested 4351. Please try again in 5.289s. Visit", 5.289),
        ("Please try again in 7m12.5s.", 432.5),
        ("Please try again in 20ms.", 0.02),
        ("Please retry in 34.897s.", 34.897),
        ("Please retry after 26 seconds.", 26),
        ("Limit: 3 / min. Try again in 20 seconds", 20),
        ("Please wait 30 seconds before you go on", 30),
        ("Try again in 1 minute and 5 seconds", 65),
        ("The limit resets in 2 hours.", 7200),
        ("Please try again later", None),
        ("You used 30 seconds of audio", None),
        ("", None),
    ],
)
def test_waits_in_words(message, seconds):
    assert wait_s({}, None, message) == seconds
