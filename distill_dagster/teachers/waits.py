"""How long to wait before a request is sent again: as long as the server says, plus a jitter of our own.

    retry-after-ms: 250                                            0.25 s
    Retry-After: 7, or an HTTP date                                7 s (RFC 9110)
    {"error": {"details": [{"retryDelay": "34.9s"}]}}              34.9 s, Gemini
    {"error": {"retry_after": 5}}                                  5 s
    "Please try again in 7m12.5s", "请在3600秒后重试"                 432.5 s, 3600 s: wait_words.py
    x-ratelimit-remaining-tokens: 0, x-ratelimit-reset-tokens: 6m0s    360 s; only after a refusal for the rate
    {"metadata": {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1764288000000"}}}
                                                                   the same, in a body: OpenRouter

The first of these that a response holds counts. Names are compared without case, `-` and `_`. A refusal for the
rate that names no wait pauses the account so long that a quota of a minute renews before the last attempt
(`renewal_s`).

The jitter is full: Brooker (2015), "Exponential Backoff And Jitter", AWS Architecture Blog. It is added to the server's
wait, so that requests refused together do not come back together.
"""

import contextlib
import math
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

from distill_dagster.teachers.bounded_json import read_json
from distill_dagster.teachers.wait_words import EPOCH_S, moment_s, said_s, since_epoch_s, span_s

BASE_S = 1.0  # the first wait is 0 to 1 s, the second 0 to 2 s, ...
CAP_S = 60.0
RENEWS_S = 60.0  # providers count requests and tokens by the minute
YEAR_S = 365 * 86_400.0
FIELDS = (  # of a body, folded; the first one that says a time counts
    *("retryafterms", "retrydelayms", "retrydelay", "retryafter", "retryafterseconds", "retryaftersec", "retryin"),
    *("retryinseconds", "retryat", "waitseconds", "waittime", "waittimeseconds"),
)
RESET_FIELDS = {  # of a body, folded: when a limit that is used up is reset
    *("resetsinseconds", "resetinseconds", "resetsin", "resetin", "resetafter", "resetafterseconds"),
    *("resetsat", "resetat", "resettime", "resettimestamp", "quotaresettimestamp", "quotaresetdelay"),
}
RESET = re.compile(r"(?:x-)?(?:[a-z]+-)?rate-?limit-(?:[a-z-]+-)?reset(?:-[a-z-]+)?")
DEEPEST = 6


def back_off_s(attempt: int, asked_s: float | None = None) -> float:
    """Seconds to wait after the `attempt`-th attempt (1, 2, ...) has failed; `asked_s` is the server's wait."""
    return (asked_s or 0.0) + random.uniform(0, min(CAP_S, BASE_S * 2 ** (attempt - 1)))


def renewal_s(attempt: int, attempts: int) -> float:
    """Seconds to wait after a refusal for the rate that names none, before attempt `attempt` + 1 of `attempts`.

    Each is about twice as long as the one before, and the last is a minute: with six attempts 1.9, 4, 8.6, 20 and 60 s.
    """
    left = attempts - attempt
    return max(min(CAP_S, BASE_S * 2.0 ** min(attempt - 1, 30)), RENEWS_S / (2.0**left - 1)) if left > 0 else 0.0


def wait_s(headers: Mapping[str, str], body: Any = None, message: str = "", is_overload: bool = False) -> float | None:
    """Seconds that a response asks to wait, None if it does not say; nothing in a response makes this raise."""
    named = named_wait_s(headers, body, message)
    if named is not None or not is_overload:
        return named
    resets = (_resets_in(headers), *map(_resets_in, _objects(body, 0)))
    return max((seconds for seconds in resets if seconds is not None), default=None)


def named_wait_s(headers: Mapping[str, str], body: Any = None, message: str = "") -> float | None:
    """As `wait_s`, without what only tells when a limit is reset: those headers come with every response."""
    said = (_retry_after(headers), next(_fields(body), None), said_s(message))
    return next((seconds for seconds in said if seconds is not None), None)


def wait_text(seconds: float) -> str:
    """A wait in a message."""
    return f"{seconds:,.0f} s" if seconds <= YEAR_S else "more than a year"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (given := headers.get(name)) is not None and (seconds := _seconds(given, unit)) is not None:
            return seconds
    return None


def _objects(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Every object of a body, also of one that is in it as text; the outermost comes first."""
    if depth > DEEPEST:
        return
    if isinstance(value, str) and depth and value.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            yield from _objects(read_json(value), depth + 1)
    elif isinstance(value, list):
        for part in value[:20]:
            yield from _objects(part, depth + 1)
    elif isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner, depth + 1)


def _fields(body: Any) -> Iterator[float]:
    """The waits that the fields of a body name."""
    for one in _objects(body, 0):
        given = {_folded(name): value for name, value in one.items()}
        for name in FIELDS:
            seconds = _seconds(given.get(name), 0.001 if name.endswith("ms") else 1.0)
            if seconds is not None:
                yield seconds


def _folded(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


def _resets_in(named: Mapping[str, Any]) -> float | None:
    """The longest time until a limit is reset, of those limits that are used up or whose rest is not told."""
    given = {name.casefold().replace("_", "-"): value for name, value in named.items()}
    waits = []
    for name, value in given.items():
        if RESET.fullmatch(name) or _folded(name) in RESET_FIELDS or (name == "reset" and "remaining" in given):
            rest = given.get(name.replace("reset", "remaining"))
            seconds = _seconds(value, 1.0)
            if seconds is not None and (rest is None or _number(rest) == 0):
                waits.append(seconds)
    return max(waits, default=None)


def _seconds(given: Any, unit: float) -> float | None:
    """Seconds in a number, a number as text, a span such as 6m0s, a date, a time since 1970, or protobuf's Duration."""
    if isinstance(given, dict):
        whole, nanos = _number(given.get("seconds")), _number(given.get("nanos"))
        return None if whole is None and nanos is None else (whole or 0.0) + (nanos or 0.0) / 1e9
    number = _number(given)
    if number is not None:
        return since_epoch_s(number) if number > EPOCH_S else number * unit
    if not isinstance(given, str):
        return None
    span = span_s(given)
    return span if span is not None else moment_s(given)


def _number(given: Any) -> float | None:
    """A finite number of at least 0, or such a number as text."""
    if isinstance(given, str | int | float) and not isinstance(given, bool):
        with contextlib.suppress(ValueError, OverflowError):
            number = float(given)
            return max(0.0, number) if math.isfinite(number) else None
    return None
