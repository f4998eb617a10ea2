"""One call of `answer`: many requests in flight, each asked until it is answered, refused or out of attempts.

As many coroutines as requests may be in flight take questions off one iterator. A request enters through one gate,
in which only the foremost waits for its turn: for a place in flight, for the rates, for the end of a pause.

    _work     take a question -> _ask -> record, until there are none
    _ask      _enter -> _attempt -> reply, or wait and again
    _enter    the gate: what `limits` says now

The first error of whoever records, or one that stops everything, closes the gate: what waits gives up unrecorded, what
is in flight is waited for and recorded, and the error is raised then. An interrupt cancels what is in flight too.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.teachers.completion import read_reply, request_body
from distill_dagster.teachers.limits import Limits, Ticket, prompt_characters
from distill_dagster.teachers.protocol import Question, Reply
from distill_dagster.teachers.retries import AttemptError, back_off_s, refusal
from distill_dagster.teachers.secrets import hide_key

if TYPE_CHECKING:
    import openai

CONNECT_TIMEOUT_S = 20.0


class ClosedError(Exception):
    """Nothing is sent any more; the question stays unanswered."""


def make_client(endpoint: EndpointConfig, key: str | None) -> "openai.AsyncOpenAI":
    """OpenAI's client without retries of its own, over aiohttp, which takes less CPU time than its default."""
    import httpx2
    import openai

    limits = httpx2.Limits(max_connections=endpoint.concurrency, max_keepalive_connections=endpoint.concurrency)
    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)  # the whole attempt has its own, see `_post`
    http_client = openai.DefaultAioHttpClient(limits=limits, timeout=timeout, verify=_trusted())
    return openai.AsyncOpenAI(
        base_url=endpoint.url, api_key=key or "none", max_retries=0, timeout=timeout, http_client=http_client
    )


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that the client trusts by default; to read them takes 20 ms, for each shard of a `run`."""
    import httpx2

    return httpx2.create_ssl_context()


class Asking:
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
        self._host = urlsplit(endpoint.url).hostname or ""
        self._error: BaseException | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()  # held by the foremost at the gate
        self._changed = asyncio.Event()  # the limits may let one through now
        self._closed = asyncio.Event()

    async def run(self, questions: Sequence[Question]) -> None:
        """Ask them all; raises the first error, after what was in flight has been recorded."""
        waiting = iter(questions)
        async with make_client(self._endpoint, self._key) as self._client:
            workers = min(self._limits.maximum, len(questions))
            self._workers = [asyncio.create_task(self._work(waiting)) for _ in range(workers)]
            await asyncio.gather(*self._workers, return_exceptions=True)
        if self._error is not None:
            raise self._error

    async def _work(self, waiting: Iterator[Question]) -> None:
        for question in waiting:
            try:
                self._record(await self._ask(question))
            except ClosedError:
                return
            except BaseException as e:
                self._close(e)
                raise

    def _close(self, error: BaseException) -> None:
        """Send nothing any more after the first error; an interrupt does not wait for what is in flight either."""
        if self._error is not None:
            return
        self._error = error
        self._closed.set()
        self._changed.set()
        if not isinstance(error, Exception):
            for worker in self._workers:
                worker.cancel()

    async def _ask(self, question: Question) -> Reply:
        """The reply to a question, after as many attempts as it took or as there may be."""
        cost, attempt = 0.0, 0
        while True:
            attempt += 1
            ticket = await self._enter(question)
            started = time.perf_counter()
            try:
                reply = await self._attempt(question, ticket)
            except AttemptError as e:
                cost += self._cost(*e.usage)
                if e.passing and attempt < self._endpoint.attempts:
                    await self._rest(back_off_s(attempt, e.retry_after_s))
                    continue
                reply = self._failed(question, e)
            else:
                cost += self._cost(reply.prompt_tokens, reply.completion_tokens)
            milliseconds = (time.perf_counter() - started) * 1000
            return replace(reply, attempts=attempt, cost_usd=cost, latency_ms=milliseconds)

    async def _enter(self, question: Question) -> Ticket:
        """Wait for a place in flight, the rates and the end of a pause, and take the place."""
        async with self._turn:
            await asyncio.sleep(0)  # one a turn of the loop, or what came back together goes out, and waits, together
            while (delay := self._limits.delay(time.monotonic())) > 0 and not self._closed.is_set():
                self._changed.clear()
                await _wait(self._changed, delay)
            if self._closed.is_set():
                raise ClosedError
            return self._limits.enter(prompt_characters(question.messages), time.monotonic())

    async def _rest(self, seconds: float) -> None:
        """Sleep between two attempts, but not past the end."""
        await _wait(self._closed, seconds)

    async def _attempt(self, question: Question, ticket: Ticket) -> Reply:
        """Send the request once, and let the limits learn from what comes back."""
        try:
            reply = read_reply(await self._post(question), question, self._key)
            self._limits.answered(ticket, reply.prompt_tokens, reply.completion_tokens)
        except AttemptError as e:
            now = time.monotonic()
            if e.overload:
                self._limits.overloaded(ticket, now)
                self._limits.pause(now + (e.retry_after_s or 0.0))
            raise
        finally:
            self._limits.leave()
            self._changed.set()
        return reply

    async def _post(self, question: Question) -> bytes:
        """The body of a response of status 200, as it came."""
        import httpx2
        import openai

        endpoint = self._endpoint
        try:
            async with asyncio.timeout(endpoint.timeout_seconds):
                response = await self._client.post(
                    "/chat/completions",
                    cast_to=httpx2.Response,
                    body=request_body(question, endpoint, self._generation),
                    options={} if self._key else {"headers": {"Authorization": openai.Omit()}},
                )
        except TimeoutError as e:
            raise AttemptError("timeout", f"{self._host}: no answer within {endpoint.timeout_seconds:g} s") from e
        except openai.APIStatusError as e:
            body = self._without_key(e.body)
            raise refusal(e.status_code, e.response.headers, body, self._host, endpoint.api_key) from None
        except openai.APIConnectionError as e:
            raise AttemptError("connection", f"{self._host}: {hide_key(str(e.__cause__ or e), self._key)}") from e
        return response.content

    def _without_key(self, body: Any) -> Any:
        """The body of an error without the key, which some servers repeat there."""
        if isinstance(body, dict):
            return {name: self._without_key(value) for name, value in body.items()}
        if isinstance(body, list):
            return [self._without_key(value) for value in body]
        return hide_key(body, self._key) if isinstance(body, str) else body

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        price = self._endpoint.price
        return price.cost(prompt_tokens, completion_tokens) if price else 0.0

    def _failed(self, question: Question, error: AttemptError) -> Reply:
        return Reply(question.request_hash, None, "error", *error.usage, error_code=error.code, error=str(error))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not longer than so many seconds, which may be infinite."""
    try:
        async with asyncio.timeout(None if seconds == float("inf") else seconds):
            await event.wait()
    except TimeoutError:
        pass
