"""Which failures are tried again, after which wait, and which stop everything.

Only this module decides on retries: those of the HTTP client are off, and no caller of a teacher repeats a request
within a run.

    429, 408, 409, 5xx, timeout, dropped connection, broken body    sent again, after a wait
    400, 413, 422, ...                                              this request cannot work: a failed reply
    401, 402, 403, 404, 429 with `insufficient_quota`               no request can work: EndpointError

The wait is exponential with full jitter: Brooker (2015), "Exponential Backoff And Jitter", AWS Architecture Blog.
The jitter is added to the server's Retry-After, so that requests refused together do not come back together.

After the run, `may_heal` says of a failed reply whether the next run should send its request again.
"""

import contextlib
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from distill_dagster.errors import EndpointError
from distill_dagster.teachers.protocol import NO_ROOM, NOT_RENDERED, PREVIOUS_TURN_FAILED

BASE_S = 1.0  # the first wait is 0 to 1 s, the second 0 to 2 s, ...
CAP_S = 60.0
RETRY_AFTER_CAP_S = 120.0  # a longer wait (a daily quota) is cut to this: the attempts run out, and the row fails
MESSAGE_CHARACTERS = 300

PASSING = {408, 409, 429}  # and every 5xx
OVERLOAD = {429, 503}
LASTING = {NO_ROOM, NOT_RENDERED, PREVIOUS_TURN_FAILED}  # codes that another try would only repeat
FATAL = {
    401: "the key is not accepted: {key}",
    402: "the account has no money left: top it up, then run again",
    403: "the key is not allowed to use this model: {key}, or ask the provider for access",
    404: "there is no such model or path: check `url` (it usually ends in /v1) and `model`",
    429: "the account's quota is used up and waiting does not help: raise it, then run again",
}


class AttemptError(Exception):
    """An attempt without an answer: `http_503`, `timeout`, `connection`, `bad_response`, ..."""

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
        self.passing = passing  # a later attempt may work
        self.overload = overload  # the account gets too many requests
        self.retry_after_s = retry_after_s
        self.usage = usage  # prompt and completion tokens, if the server counted some despite the failure


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
    """Seconds from now to an HTTP date; ValueError if it is none."""
    at = parsedate_to_datetime(date)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()


def refusal(status: int, headers: Mapping[str, str], body: Any, host: str, variable: str | None) -> AttemptError:
    """Turns a status of 400 or more into the failure of one attempt. `body` is the response's JSON, or its text.

    Raises:
        EndpointError: no request to this endpoint can work.
    """
    error = body.get("error", body) if isinstance(body, dict) else body
    said = error.get("message") or error.get("detail") if isinstance(error, dict) else error  # detail: FastAPI's name
    message = f"{host} answered {status}: {str(said or 'no message')[:MESSAGE_CHARACTERS]}"
    if status in FATAL and (status != 429 or _is_out_of_quota(error)):
        key = f"check the environment variable {variable}" if variable else "name its environment variable in `api_key`"
        raise EndpointError(f"{message}\n  {FATAL[status].format(key=key)}")
    return AttemptError(
        f"http_{status}",
        message,
        passing=status in PASSING or status >= 500,
        overload=status in OVERLOAD,
        retry_after_s=retry_after_s(headers),
    )


def _is_out_of_quota(error: Any) -> bool:
    """Whether this is OpenAI's 429 for an account without credit, for which waiting does not help."""
    return isinstance(error, dict) and "insufficient_quota" in (error.get("code"), error.get("type"))


def may_heal(error_code: str | None) -> bool:
    """Whether another try may succeed. It may not if the request itself was refused or depends on a failed one."""
    if error_code is None or error_code in LASTING:
        return False
    return not error_code.startswith("http_4") or error_code in {f"http_{status}" for status in PASSING}
