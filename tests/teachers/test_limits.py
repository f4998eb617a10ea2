"""Requests in flight stay within their bounds, and no minute has more than a rate allows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.config import EndpointConfig
from distill_dagster.teachers.limits import Limits, Pace, estimated_tokens


def limits(**endpoint) -> Limits:
    return Limits(EndpointConfig(url="http://x/v1", model="m", **endpoint), max_new_tokens=100)


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(1, 500)), max_size=60), st.integers(60, 6000))
def test_no_minute_has_more_units_than_the_rate(arrivals, per_minute):
    pace, now, used = Pace(per_minute), 0.0, []
    for wait, units in arrivals:
        now += wait
        now += pace.delay(now)
        pace.use(units, now)
        used.append((now, units))
    for i, (start, _) in enumerate(used):
        within = [units for at, units in used[i:] if at < start + 60 - 1e-6]
        assert sum(within[:-1]) <= per_minute + 1e-6  # the last one was let through when the rest was paid off


def test_what_was_expected_and_not_used_is_given_back():
    pace = Pace(60)
    pace.use(10, now=0)
    pace.correct(-8)
    assert pace.delay(0) == 2


def test_no_rate_is_no_delay():
    pace = Pace(None)
    pace.use(1e9, now=0)
    assert pace.delay(0) == 0


def test_requests_that_were_refused_together_halve_once():
    account = limits(concurrency=64)
    tickets = [account.enter(0, now=1.0) for _ in range(64)]
    assert account.delay(1.0) == math.inf
    for ticket in tickets:
        account.overloaded(ticket, now=2.0)
        account.leave()
    assert account.allowed == 32
    account.overloaded(account.enter(0, now=3.0), now=4.0)
    assert account.allowed == 16


def test_a_round_trip_without_refusals_allows_one_more():
    account = limits(concurrency=64)
    account.overloaded(account.enter(0, now=1.0), now=2.0)
    for _ in range(32):
        account.answered(account.enter(0, now=3.0), 1, 1)
    assert account.allowed == pytest.approx(33, abs=0.1)


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 64))
def test_what_is_allowed_stays_between_one_and_the_maximum(refused, maximum):
    account = limits(concurrency=maximum)
    for now, is_refused in enumerate(refused):
        ticket = account.enter(0, now)
        account.overloaded(ticket, now + 0.5) if is_refused else account.answered(ticket, 1, 1)
        account.leave()
        assert 1 <= account.allowed <= maximum
        assert account.delay(now) == 0


def test_the_longest_pause_counts():
    account = limits()
    account.pause(10)
    account.pause(5)
    assert account.delay(4) == 6


def test_completions_are_expected_as_long_as_may_be_and_then_as_long_as_they_were():
    account = limits(tokens_per_minute=60)
    first = account.enter(40, now=0)
    assert first.tokens == estimated_tokens(40) + 100
    account.answered(first, 10, 20)
    assert account.delay(0) == 30
    assert account.enter(40, now=30).tokens == 10 + 20
