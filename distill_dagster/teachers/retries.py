"""What one failed attempt means: whether it is sent again, and after which wait, or whether it stops everything.

Only this module decides on retries: those of the HTTP client are off, and no caller of a teacher repeats a request
within a run. faults.py holds the kinds of faults, waits.py the waits.

    money, key, no_access, no_model         EndpointError: no request can work
    rate, passing, unknown, no answer       sent again, after a wait
    content, too_long, refused              a failed reply at once

causes.py names the setting to change where a response shows it.

After the run, `faults.may_heal` says of a failed reply whether the next run sends its request again.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.causes import cause_of_refusal
from distill_dagster.teachers.complaint import read_complaint
from distill_dagster.teachers.faults import REFUSED_CONTENT, Fault, fault_named, fault_of
from distill_dagster.teachers.protocol import NO_ROOM, Reply
from distill_dagster.teachers.waits import named_wait_s, renewal_s, wait_s, wait_text

LOG = logging.getLogger(__name__)
SAID_S = 10.0  # a wait of at least this many seconds is logged

FATAL = {
    Fault.MONEY: "the account has no money left and waiting does not help: top up or raise the limit, then run again",
    Fault.KEY: "the key is not accepted: {key}",
    Fault.NO_ACCESS: "the key is not allowed to use this model: {key}, or ask the provider for access",
    Fault.NO_MODEL: "there is no such model or path, or none that takes the request: check `model`, `parameters`, and "
    "`url` (it usually ends in /v1)",
}
BROKEN = "bad_response"  # the error code of a body without an answer
INTERRUPTING = {Fault.MONEY, Fault.KEY, Fault.RATE}  # faults that a finish reason is believed
SENT_ONCE = {Fault.CONTENT, Fault.TOO_LONG, Fault.REFUSED}
CODES = {Fault.CONTENT: REFUSED_CONTENT, Fault.TOO_LONG: NO_ROOM}  # others have their status as code


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
        received: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.passing = passing  # a later attempt may work
        self.overload = overload  # the account gets too many requests
        self.retry_after_s = retry_after_s
        self.usage = usage  # prompt and completion tokens, if the server counted some despite the failure
        self.received = received  # the body of a response of status 200

    def reply(self, request_hash: str) -> Reply:
        """The failed reply to a request whose last attempt this was."""
        return Reply(
            request_hash,
            None,
            "error",
            *self.usage,
            error_code=self.code,
            error=str(self),
            received=self.received,
        )


def refusal(status: int, headers: Mapping[str, str], body: Any, host: str, variable: str | None) -> AttemptError:
    """Turns a status that is no success into the failure of one attempt. `body` is the response's JSON, or its text.

    Raises:
        EndpointError: no request to this endpoint can work.
    """
    said = read_complaint(body)
    fault = fault_of(status, said, named_wait_s(headers, body, said.message) is not None)
    error = _failure(fault, f"{host} answered {status}: {said.short or 'no message'}", f"http_{status}", variable)
    error.retry_after_s = wait_s(headers, body, said.message, is_overload=error.overload)
    return error


def refusal_by(endpoint: EndpointConfig, status: int, headers: Mapping[str, str], body: Any) -> AttemptError:
    """As `refusal`; an EndpointError names the setting to change where the response shows which one is wrong."""
    if cause := cause_of_refusal(endpoint, status, headers, body):
        raise cause
    return refusal(status, headers, body, urlsplit(endpoint.url).hostname or "", endpoint.api_key)


def complaint(body: Any, otherwise: str, variable: str | None) -> AttemptError:
    """Turns a body of status 200 without an answer into the failure of one attempt; `otherwise` is said of one without
    a message.

    Raises:
        EndpointError: as `refusal`.
    """
    said = read_complaint(body)
    names_wait = named_wait_s({}, body, said.message) is not None
    message = f"an error instead of an answer: {said.short}" if said.short else otherwise
    error = _failure(fault_of(None, said, names_wait), message, BROKEN, variable)
    error.retry_after_s = wait_s({}, body, said.message, is_overload=error.overload)
    return error


def interruption(word: str, message: str, variable: str | None) -> AttemptError:
    """Turns an answer that broke off into the failure of one attempt; `word` is its finish reason. An account without
    money or a key stops everything, a rate slows down, and all else is sent again.

    Raises:
        EndpointError: as `refusal`.
    """
    fault = fault_named(word) or Fault.PASSING
    return _failure(fault if fault in INTERRUPTING else Fault.PASSING, message, BROKEN, variable)


def _failure(fault: Fault, message: str, code: str, variable: str | None) -> AttemptError:
    if fault in FATAL:
        key = f"check the environment variable {variable}" if variable else "name its environment variable in `api_key`"
        raise EndpointError(f"{message}\n  {FATAL[fault].format(key=key)}")
    return AttemptError(CODES.get(fault, code), message, passing=fault not in SENT_ONCE, overload=fault == Fault.RATE)


def pause_s(endpoint: EndpointConfig, error: AttemptError, attempt: int) -> float:
    """Seconds to wait after a failed attempt: as many as the server asks for, or a share of a minute after a refusal
    for the rate that names no wait.

    Raises:
        EndpointError: the server asks for more than `longest_wait_seconds`.
    """
    asked, longest = error.retry_after_s, endpoint.longest_wait_seconds
    if error.passing and asked is not None and asked > longest:
        raise too_long_a_wait(urlsplit(endpoint.url).hostname or "", asked, longest) from error
    if error.overload and asked is None:
        return min(longest, renewal_s(attempt, endpoint.attempts))
    return asked or 0.0


def log_pause(endpoint: EndpointConfig, error: AttemptError, seconds: float) -> None:
    """Log a pause, unless it is a short one."""
    if seconds >= SAID_S:
        asks = (
            f"asks to wait {wait_text(seconds)}"
            if error.retry_after_s is not None
            else "refuses for its rate, no wait named"
        )
        LOG.warning("%s %s; continuing after %.0f s", urlsplit(endpoint.url).hostname, asks, seconds)


def too_long_a_wait(host: str, seconds: float, longest: float) -> EndpointError:
    """The error for a wait that nobody would sit through, such as one for tomorrow's quota."""
    return EndpointError(
        f"{host} asks to wait {wait_text(seconds)} before the next request, and "
        f"teacher.endpoint.longest_wait_seconds is {longest:,.0f}: run again after that time, or raise the limit; "
        "the answers so far are kept"
    )
