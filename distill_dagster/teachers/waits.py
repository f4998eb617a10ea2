"""How long to wait before a request is sent again: as long as the server says, plus a jitter of our own.

    retry-after-ms: 250                                            0.25 s
    Retry-After: 7, or an HTTP date                                7 s (RFC 9110)
    {"error": {"details": [{"retryDelay": "34.9s"}]}}              34.9 s, Gemini
    {"error": {"retry_after": 5}}                                  5 s
    "Please try again in 7m12.5s", "retry after 26 seconds"        432.5 s, 26 s
    x-ratelimit-remaining-tokens: 0, x-ratelimit-reset-tokens: 6m0s    360 s; only after a 429 or a 503

The first of these that a response holds counts. A refusal for the rate that names no wait pauses the account so long
that a quota of a minute renews before the last attempt (`renewal_s`).

The jitter is full: Brooker (2015), "Exponential Backoff And Jitter", AWS Architecture Blog. It is added to the server's
wait, so that requests refused together do not come back together.
"""

import contextlib
import math
import random
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

BASE_S = 1.0  # the first wait is 0 to 1 s, the second 0 to 2 s, ...
CAP_S = 60.0
RENEWS_S = 60.0  # providers count requests and tokens by the minute
EPOCH_S, EPOCH_MS = 1e9, 1e12  # larger numbers are times since 1970, in seconds or milliseconds

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
SPAN = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
)
SPANS = rf"(?:{SPAN.pattern}(?:\s*(?:,|and)?\s*)?)+"
IN_WORDS = re.compile(
    r"(?:(?:try|retry|again|wait|available|resets?)\b[^.\d]{0,40}?(?:in|after|for|within)?|retry[- ]after)\W{0,3}"
    rf"(?P<span>{SPANS})"
)
FIELDS = (
    "retry_after_ms",
    "retryAfterMs",
    "retryDelay",
    "retry_delay",
    "retry_after",
    "retryAfter",
    "retry_after_seconds",
)
RESET = re.compile(
    r"(?:x-)?(?:[a-z]+-)?ratelimit-(?:(?P<before>requests|tokens|[a-z-]+)-)?reset(?:-(?P<after>[a-z-]+))?"
)
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
    return named if named is not None or not is_overload else _resets_in(headers)


def named_wait_s(headers: Mapping[str, str], body: Any = None, message: str = "") -> float | None:
    """As `wait_s`, without the headers that only tell when a limit is reset: those come with every response."""
    said = (_retry_after(headers), next(_fields(body, 0), None), _in_words(message))
    return next((seconds for seconds in said if seconds is not None), None)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (given := headers.get(name)) is not None and (seconds := _seconds(given, unit)) is not None:
            return seconds
    return None


def _fields(value: Any, depth: int) -> Iterator[float]:
    """The waits that the fields of a body name."""
    if depth > DEEPEST:
        return
    if isinstance(value, list):
        for part in value[:20]:
            yield from _fields(part, depth + 1)
    if not isinstance(value, dict):
        return
    for name in FIELDS:
        seconds = _seconds(value.get(name), 0.001 if name.casefold().endswith("ms") else 1.0)
        if seconds is not None:
            yield seconds
    for inner in value.values():
        yield from _fields(inner, depth + 1)


def _in_words(message: str) -> float | None:
    found = IN_WORDS.search(message[:2000].casefold())
    return _span(found["span"]) if found else None


def _resets_in(headers: Mapping[str, str]) -> float | None:
    """The longest time until a limit is reset, of those limits that are used up or whose rest is not told."""
    waits = []
    for name, value in headers.items():
        if RESET.fullmatch(name.casefold()):
            rest = headers.get(name.casefold().replace("reset", "remaining"))
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
        now = datetime.now(UTC).timestamp()
        since = number / 1000 if number > EPOCH_MS else number
        return max(0.0, since - now if number > EPOCH_S else number * unit)
    if not isinstance(given, str):
        return None
    return _span(given.casefold()) if SPAN.match(given.strip().casefold()) else _until(given)


def _number(given: Any) -> float | None:
    """A finite number of at least 0, or such a number as text."""
    if isinstance(given, str | int | float) and not isinstance(given, bool):
        with contextlib.suppress(ValueError, OverflowError):
            number = float(given)
            return max(0.0, number) if math.isfinite(number) else None
    return None


def _span(text: str) -> float:
    """The seconds of a span in lower case, such as 6m0s."""
    return sum(
        float(count) * UNITS["ms" if unit.startswith(("ms", "milli")) else unit[0]]
        for count, unit in SPAN.findall(text)
    )


def _until(date: str) -> float | None:
    """Seconds from now to a date of HTTP, or of ISO 8601."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError):
            at = read(date.strip())
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            return max(0.0, (at - datetime.now(UTC)).total_seconds())
    return None
