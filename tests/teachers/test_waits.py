"""How long servers ask to wait, in headers, in the fields of an error and in its words."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.completion import read_reply
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.retries import AttemptError, pause_s, refusal
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
        ({"X-RateLimit-Reset": "30", "X-RateLimit-Remaining": "0"}, 30),
        ({"X-RateLimit-Reset": "30", "X-RateLimit-Remaining": "7"}, None),
        ({"rate-limit-reset": "30"}, 30),
        ({"x-ratelimit-reset-after": "30"}, 30),
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


LATER = datetime.now(UTC) + timedelta(hours=20)  # above the time that all tests take
MS, S = str(int(LATER.timestamp() * 1000)), int(LATER.timestamp())
SPAN_S = 3599


def is_the_wait(seconds: float | None) -> bool:
    """Whether it is the time until `LATER`, or the span."""
    left = (LATER - datetime.now(UTC)).total_seconds()
    return seconds is not None and (abs(seconds - left) < 90 or seconds == SPAN_S)


RESETS = {
    "OpenRouter": {
        "error": {
            "message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests",
            "code": 429,
            "metadata": {
                "headers": {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": MS},
                "provider_name": None,
            },
        }
    },
    "a router that passes it on as text": {
        "error": {"metadata": {"raw": json.dumps({"headers": {"x-ratelimit-reset": MS}})}}
    },
    "other spellings": {"error": {"rate_limit": {"remaining": 0, "reset": S}}},
    "snake case": {"x_ratelimit_reset_requests": S, "x_ratelimit_remaining_requests": 0},
    "a time": {"error": {"type": "usage_limit", "resets_at": S}},
    "a date": {"details": [{"metadata": {"quotaResetTimeStamp": LATER.isoformat()}}]},
    "a span": {"error": {"resets_in_seconds": SPAN_S}},
    "headers that name the wait": {"error": {"metadata": {"headers": {"Retry-After": str(SPAN_S)}}}},
}


@pytest.mark.parametrize("name", RESETS)
def test_a_reset_in_a_body_counts_as_it_does_in_headers(name):
    assert is_the_wait(wait_s({}, RESETS[name], is_overload=True))
    assert is_the_wait(refusal(429, {}, RESETS[name], "host", None).retry_after_s)


def test_a_reset_in_a_body_counts_only_for_the_limit_that_is_used_up_and_after_a_refusal_for_the_rate():
    limits = {"headers": {"x-ratelimit-reset": MS, "x-ratelimit-remaining": "4"}}
    assert wait_s({}, limits, is_overload=True) is None
    assert refusal(500, {}, RESETS["OpenRouter"] | {"message": "boom"}, "host", None).retry_after_s is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(json.dumps(RESETS["OpenRouter"]), id="body"),
        pytest.param(f"data: {json.dumps(RESETS['OpenRouter'])}\n\n", id="stream"),
    ],
)
def test_a_reset_in_a_body_or_a_stream_of_status_200_counts_too(content):
    with pytest.raises(AttemptError) as caught:
        read_reply(receive(content.encode()), Request("h", [{"role": "user", "content": "?"}]))
    assert is_the_wait(caught.value.retry_after_s)


@pytest.mark.parametrize("given", ["1e99", "1e300", "99999999999", "9" * 100])
def test_an_absurd_wait_stops_in_few_words(given):
    error = refusal(429, {"retry-after": given}, None, "host", None)
    with pytest.raises(EndpointError, match=r"asks to wait (more than a year|[\d,]{6,14} s) before") as caught:
        pause_s(EndpointConfig(url="http://host/v1", model="m"), error, 1)
    assert len(str(caught.value)) < 250


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
        ("请在3600秒后重试", 3600),
        ("请求过于频繁，每分钟限制 3 次，请 20 秒之后再试", 20),
        ("請於 2 分鐘後再試", 120),
        ("请等待 1 小时", 3600),
        ("60秒後に再試行してください", 60),
        ("60초 후에 다시 시도하세요", 60),
        ("Réessayez dans 2 minutes", 120),
        ("Veuillez réessayer dans 30 secondes.", 30),
        ("Bitte versuchen Sie es in 20 Sekunden erneut, oder warten Sie 2 Minuten", 120),
        ("Inténtelo de nuevo en 45 segundos", 45),
        ("Tente novamente em 45 segundos", 45),
        ("Повторите попытку через 30 секунд", 30),
        ("每60秒最多 3 次", None),
        ("Please try again later", None),
        ("You used 30 seconds of audio", None),
        ("", None),
    ],
)
def test_waits_in_words(message, seconds):
    assert wait_s({}, None, message) == seconds


@pytest.mark.parametrize(
    "words", ["Rate limit resets at {}", "Try again after {}.", "Quota is used up until {}, sorry", "reset time: {}"]
)
@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S.%f+00:00",
        "%Y-%m-%d %H:%M:%S UTC",
        "%Y-%m-%d %H:%M:%S +0000",
        "%Y-%m-%d %H:%M:%S",
        "%a, %d %b %Y %H:%M:%S GMT",
        "%H:%M UTC",
        "%s",
    ],
)
def test_a_moment_in_words(words, form):
    moment = str(S) if form == "%s" else LATER.strftime(form)
    assert is_the_wait(wait_s({}, None, words.format(moment)))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ["1 s ", "1 s , ", "1 s  and ", "9", "1秒", "try again ", "retry at ", " ", "warte 1 "]
)
def test_a_long_message_is_read_without_an_end_in_no_long_time(piece):
    wait_s({}, None, piece * 2000)


def test_midnight_is_at_most_a_day_away_and_a_moment_that_has_passed_is_now():
    assert 0 < (wait_s({}, None, "Limits reset at midnight UTC") or 0) <= 86_400
    for message in (f"Limits reset at {ISO_LONG_AGO}", "Retry with model-2099-01-27", "Wait for model 2099-01-27"):
        assert wait_s({}, None, message) is None
