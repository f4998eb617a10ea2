"""One call of `answer`: many requests in flight, each sent until it is answered, refused or out of attempts.

There are as many workers (coroutines) as requests may be in flight, and all take requests from one iterator. Before a
request is sent it passes one gate, where only the first in line waits: for a free place, for the rates, for the end of
a pause.

    _work     take a request -> _enter -> _ask -> record, until none is left
    _ask      _attempt -> reply, or wait, _enter and try again
    _enter    the gate: wait as long as `limits` says

The first request to an endpoint in this process is sent alone. If it shows that no request can work (causes.py), no
other is sent.

The first error of `record`, or one that stops everything, closes the gate: waiting requests give up unrecorded, those
in flight are still recorded, and then the error is raised. An interrupt also cancels the requests in flight.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.body import request_body
from distill_dagster.teachers.bounded_body import largest_answer
from distill_dagster.teachers.causes import cause_of_body, cause_of_connection, is_certain
from distill_dagster.teachers.client import make_client, no_key, secrets_of
from distill_dagster.teachers.completion import error_body, read_reply
from distill_dagster.teachers.finish import WORDS
from distill_dagster.teachers.limits import Limits, Ticket, prompt_characters
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.retries import AttemptError, log_pause, pause_s, refusal_by
from distill_dagster.teachers.secrets import hide_key
from distill_dagster.teachers.unsupported import refuse_unsupported, refuse_unsupported_inside
from distill_dagster.teachers.usage import cached_tokens
from distill_dagster.teachers.waits import back_off_s
from distill_dagster.telemetry.calls import add_retry, one_request

_working: set[tuple[str, str, str | None]] = set()  # endpoints that answered in this process, see `_place`


def forget_endpoints() -> None:
    """Send the first request to every endpoint alone again."""
    _working.clear()


def _place(endpoint: EndpointConfig) -> tuple[str, str, str | None]:
    return endpoint.url, endpoint.model, endpoint.api_key


class ClosedError(Exception):
    """The gate is closed; the request stays unanswered."""


class Sender:
    """The state of one call of `answer`, on one event loop."""

    def __init__(
        self,
        endpoint: EndpointConfig,
        generation: GenerationConfig,
        limits: Limits,
        key: str | None,
        record: Callable[[Reply], None],
    ) -> None:
        self._endpoint, self._generation, self._limits = endpoint, generation, limits
        self._key, self._record = key, record
        self._secrets = secrets_of(endpoint, key)
        self._host = urlsplit(endpoint.url).hostname or ""
        self._error: BaseException | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()  # held by the first in line at the gate
        self._changed = asyncio.Event()  # the limits may let a request through now
        self._closed = asyncio.Event()

    async def run(self, requests: Sequence[Request]) -> None:
        """Send them all; raises the first error after the replies in flight have been recorded."""
        waiting = iter(requests)
        largest = largest_answer(self._endpoint, self._generation)
        async with make_client(self._endpoint, self._key, largest) as self._client:
            if not self._is_known_to_work:
                await self._send(islice(waiting, 1), 1)
            if self._error is None:
                _working.add(_place(self._endpoint))
                await self._send(waiting, min(self._limits.maximum, len(requests)))
        if isinstance(self._error, EndpointError):
            _working.discard(_place(self._endpoint))
        if self._error is not None:
            raise self._error

    @property
    def _is_known_to_work(self) -> bool:
        return _place(self._endpoint) in _working

    async def _send(self, waiting: Iterator[Request], workers: int) -> None:
        """Send requests until none is left, by as many workers."""
        self._workers = [asyncio.create_task(self._work(waiting)) for _ in range(workers)]
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self, waiting: Iterator[Request]) -> None:
        for request in waiting:
            try:
                ticket = await self._enter(request)
                with one_request() as span:
                    reply = await self._ask(request, ticket)
                    span.set(_seen(reply))
                self._record(reply)
            except ClosedError:
                return
            except BaseException as e:
                self._close(e)
                raise

    def _close(self, error: BaseException) -> None:
        """Stop sending after the first error; after an interrupt, cancel the requests in flight too."""
        if self._error is not None:
            return
        self._error = error
        self._closed.set()
        self._changed.set()
        if not isinstance(error, Exception):
            for worker in self._workers:
                worker.cancel()

    async def _ask(self, request: Request, ticket: Ticket) -> Reply:
        """The reply to a request that has entered, after as many attempts as it takes, at most `attempts`."""
        cost, attempt = 0.0, 0
        while True:
            attempt += 1
            started = time.perf_counter()
            try:
                reply = await self._attempt(request, ticket)
            except AttemptError as e:
                cost += self._endpoint.cost(*e.usage)
                pause = self._heed(e, ticket, attempt)
                if e.passing and attempt < self._endpoint.attempts and not self._is_hopeless(e):
                    add_retry(e.code)
                    await self._rest(back_off_s(attempt, pause))
                    ticket = await self._enter(request)
                    continue
                if e.code == "connection" and (cause := cause_of_connection(self._endpoint, e)):
                    raise cause from e
                reply = e.reply(request.request_hash)
            else:
                cost += reply.cost_usd
            milliseconds = (time.perf_counter() - started) * 1000
            return reply._replace(attempts=attempt, cost_usd=cost, latency_ms=milliseconds)

    def _is_hopeless(self, error: AttemptError) -> bool:
        """Whether the first connection fails for a reason that waiting does not cure."""
        return error.code == "connection" and not self._is_known_to_work and is_certain(error)

    async def _enter(self, request: Request) -> Ticket:
        """Wait for a free place, the rates and the end of a pause, then take the place."""
        async with self._turn:
            await asyncio.sleep(0)  # one a turn of the loop, or requests answered together are followed by a burst
            while (delay := self._limits.delay(time.monotonic())) > 0 and not self._closed.is_set():
                self._changed.clear()
                await _wait(self._changed, delay)
            if self._closed.is_set():
                raise ClosedError
            return self._limits.enter(prompt_characters(request.messages), time.monotonic())

    async def _rest(self, seconds: float) -> None:
        """Sleep between two attempts, but no longer than the gate is open."""
        await _wait(self._closed, seconds)

    async def _attempt(self, request: Request, ticket: Ticket) -> Reply:
        """Send the request once, and let the limits learn from the answer."""
        try:
            received = receive(await self._post(request))
            sent = partial(request_body, request, self._endpoint, self._generation)
            refuse_unsupported_inside(received.value, self._secrets, sent, self._host, self._endpoint)
            if not self._is_known_to_work and (cause := cause_of_body(self._endpoint, received, self._secrets)):
                raise cause
            reply = read_reply(received, request, self._secrets, self._endpoint.api_key)
            tokens = reply.prompt_tokens, reply.completion_tokens
            reply = reply._replace(cost_usd=self._endpoint.cost(*tokens, cached_tokens(received.value.get("usage"))))
            self._limits.answered(ticket, *tokens)
        finally:
            self._limits.leave()
            self._changed.set()
        return reply

    def _heed(self, error: AttemptError, ticket: Ticket, attempt: int) -> float:
        """Slow down and pause as a failed attempt asks: seconds; EndpointError if the pause would be too long."""
        now, pause = time.monotonic(), pause_s(self._endpoint, error, attempt)
        if now + pause > self._limits.paused_until + 1:
            log_pause(self._endpoint, error, pause)
        if error.overload:
            self._limits.overloaded(ticket, now)
            self._limits.pause(now + pause)
        return pause

    async def _post(self, request: Request) -> bytes:
        """The unread body of a response of status 200."""
        import httpx2
        import openai

        endpoint = self._endpoint
        sent = request_body(request, endpoint, self._generation)
        try:
            async with asyncio.timeout(endpoint.timeout_seconds):
                response = await self._client.post(
                    "/chat/completions",
                    cast_to=httpx2.Response,
                    body=sent,
                    options={"headers": no_key(self._key)},
                )
        except TimeoutError as e:
            raise AttemptError("timeout", f"{self._host}: no answer within {endpoint.timeout_seconds:g} s") from e
        except openai.APIStatusError as e:
            body = error_body(e.response.content, self._secrets)
            refuse_unsupported(e.status_code, body, sent, self._host, endpoint)
            raise refusal_by(endpoint, e.status_code, e.response.headers, body) from None
        except openai.APIConnectionError as e:
            raise AttemptError("connection", f"{self._host}: {hide_key(str(e.__cause__ or e), *self._secrets)}") from e
        return response.content


def _seen(reply: Reply) -> dict[str, str | int | float | Sequence[str]]:
    """What the span of one request says of its reply: no text, and no word that is the server's own."""
    finish = reply.finish_reason if reply.finish_reason in (*WORDS, "error") else "other"
    return {
        "gen_ai.usage.input_tokens": reply.prompt_tokens,
        "gen_ai.usage.output_tokens": reply.completion_tokens,
        "gen_ai.response.finish_reasons": [finish],
        "distill.attempts": reply.attempts,
        **({} if reply.ok else {"error.type": reply.error_code or "unknown"}),
    }


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event for at most `seconds`, which may be infinite."""
    try:
        async with asyncio.timeout(None if seconds == float("inf") else seconds):
            await event.wait()
    except TimeoutError:
        pass
