"""Which failures heal by themselves, how long to wait for that, and which stop everything. The one owner of retries:
the HTTP client's own are off, and nothing above a teacher asks again within a run.

    429, 408, 409, 5xx, timeout, dropped connection, broken body    asked again, after a wait
    400, 413, 422, ...                                              this request cannot work: a failed reply
    401, 402, 403, 404, 429 with `insufficient_quota`               no request can work: TeacherError

The wait is exponential with full jitter: Brooker (2015), "Exponential Backoff And Jitter", AWS Architecture Blog.
It adds to what the server asks for in Retry-After, so that requests refused together do not come back together.
"""

import contextlib
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from distill_dagster.errors import TeacherError

BASE_S = 1.0  # the first wait is 0 to 1 s, the second 0 to 2 s, ...
CAP_S = 60.0
RETRY_AFTER_CAP_S = 120.0  # a longer one (a daily quota) is not waited out: the attempts end, and the row fails
MESSAGE_CHARACTERS = 300

PASSING = {408, 409, 429}  # and every 5xx
OVERLOAD = {429, 503}
FATAL = {
    401: "the key is not accepted: {key}",
    402: "the account has no money left: top it up, then run again",
    403: "the key is not allowed to use this model: {key}, or ask the provider for access",
    404: "there is no such model or path: check `url` (it usually ends in /v1) and `model`",
    429: "the account's quota is used up, waiting will not help: raise it, then run again",
}


class AttemptError(Exception):
    """One attempt that brought no answer: `http_503`, `timeout`, `connection`, `bad_response`, ..."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        passing: bool = True,
        overload: bool = False,
        retry_after_s: float | None = None,
        usage: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.passing = passing  # may heal by itself
        self.overload = overload  # the account is asked too fast
        self.retry_after_s = retry_after_s
        self.usage = usage  # prompt and completion tokens, where the server counted some all the same


def back_off_s(attempt: int, retry_after_s: float | None = None) -> float:
    """Seconds to wait after the `attempt`-th attempt (1, 2, ...) has failed."""
    return (retry_after_s or 0.0) + random.uniform(0, min(CAP_S, BASE_S * 2 ** (attempt - 1)))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, from `retry-after-ms` or Retry-After (RFC 9110: seconds or a date)."""
    seconds = None
    with contextlib.suppress(ValueError):
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
        elif given := headers.get("retry-after"):
            seconds = float(given) if _is_number(given) else _seconds_until(given)
    return None if seconds is None or seconds != seconds else min(max(seconds, 0.0), RETRY_AFTER_CAP_S)


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def _seconds_until(date: str) -> float:
    """Seconds from now to an HTTP date; ValueError where it is none."""
    at = parsedate_to_datetime(date)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()


def refusal(status: int, headers: Mapping[str, str], body: Any, host: str, variable: str | None) -> AttemptError:
    """A status of 400 or more as the failure of one attempt. `body` is the response's JSON, or its text.

    Raises:
        TeacherError: no request to this endpoint can work.
    """
    error = body.get("error", body) if isinstance(body, dict) else body
    said = error.get("message") or error.get("detail") if isinstance(error, dict) else error  # detail: FastAPI's name
    message = f"{host} answered {status}: {str(said or 'no message')[:MESSAGE_CHARACTERS]}"
    if status in FATAL and (status != 429 or _is_out_of_quota(error)):
        key = f"check the environment variable {variable}" if variable else "name its environment variable in `api_key`"
        raise TeacherError(f"{message}\n  {FATAL[status].format(key=key)}")
    return AttemptError(
        f"http_{status}",
        message,
        passing=status in PASSING or status >= 500,
        overload=status in OVERLOAD,
        retry_after_s=retry_after_s(headers),
    )


def _is_out_of_quota(error: Any) -> bool:
    """OpenAI's 429 for an account without credit, which no waiting heals."""
    return isinstance(error, dict) and "insufficient_quota" in (error.get("code"), error.get("type"))
