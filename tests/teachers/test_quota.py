"""A quota of a minute whose refusals name no wait: no row fails for it. The clock is a fake one."""

import asyncio
import json
import time
from collections import Counter

import pytest

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.teachers import sending
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.retries import AttemptError, refusal

ANSWER = json.dumps({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}).encode()


class Provider:
    """Answers `quota` requests in each minute of its clock, and refuses the others as `refuse` does."""

    def __init__(self, quota: int, refuse) -> None:
        self.now, self._quota, self._refuse, self.minutes = 30.0, quota, refuse, Counter[int]()
        self.refused = 0

    async def post(self, _sender, _request) -> bytes:
        minute = int(self.now // 60)
        self.minutes[minute] += 1
        if self.minutes[minute] > self._quota:
            self.refused += 1
            raise self._refuse()
        return ANSWER

    async def wait(self, event, seconds: float) -> None:
        if not event.is_set():
            self.now += seconds
        await asyncio.sleep(0)


def asked_of(monkeypatch, provider: Provider, count: int, **endpoint) -> list:
    monkeypatch.setattr(sending.Sender, "_post", lambda sender, request: provider.post(sender, request))
    monkeypatch.setattr(sending, "_wait", provider.wait)
    monkeypatch.setattr(time, "monotonic", lambda: provider.now)
    replies: list = []
    settings = EndpointConfig(url="http://127.0.0.1:9/v1", model="made", concurrency=1, **endpoint)
    asked = [Request(f"h{n}", [{"role": "user", "content": str(n)}]) for n in range(count)]
    ApiTeacher(settings, GenerationConfig()).answer(asked, replies.append)
    return replies


def by_status(status: int, body=None):
    return lambda: refusal(status, {}, body, "host", None)


REFUSALS = {
    "429": by_status(429),
    "503": by_status(503),
    "429 in words": by_status(429, {"error": {"message": "Rate limit reached, try again later"}}),
    "200": lambda: AttemptError("bad_response", "an error instead of an answer: rate limit", overload=True),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("attempts", [2, 3, 6])
def test_no_row_fails_for_a_quota_of_a_minute(monkeypatch, name, attempts):
    provider = Provider(3, REFUSALS[name])
    replies = asked_of(monkeypatch, provider, 12, attempts=attempts)
    assert all(reply.ok for reply in replies)
    assert provider.refused > 0
    assert provider.refused <= 12 * (attempts - 1)


def test_a_shorter_longest_wait_bounds_the_pause(monkeypatch):
    provider = Provider(0, REFUSALS["429"])
    [reply] = asked_of(monkeypatch, provider, 1, attempts=2, longest_wait_seconds=5)
    assert reply.error_code == "http_429"
    assert provider.now - 30 <= 5 + 1


def test_a_pause_without_a_stated_wait_is_logged(monkeypatch, caplog):
    asked_of(monkeypatch, Provider(0, REFUSALS["429"]), 1, attempts=6)
    assert caplog.text.count("127.0.0.1 refuses for its rate, no wait named; continuing after") == 2
    assert "continuing after 60 s" in caplog.text
