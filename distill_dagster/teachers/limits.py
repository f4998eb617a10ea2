"""How fast an account may be asked: requests in flight, requests and tokens a minute, and pauses that it asks for.

Requests in flight follow additive increase, multiplicative decrease: Chiu and Jain (1989), "Analysis of the Increase
and Decrease Algorithms for Congestion Avoidance in Computer Networks", as TCP does it. With at most 64:

    64 in flight, 40 answers of 429         allowed 64 -> 32    one decrease for all 40: they were sent before it
                                                                and say nothing about the new pace
    32 good answers                         allowed 32 -> 33    one more for every round trip

Requests are spaced evenly, since providers enforce their rates over seconds too: 600 requests a minute are one every
0.1 s. All times are seconds of one monotonic clock that the caller reads.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distill_dagster.config import EndpointConfig

CHARACTERS_PER_TOKEN = 4  # of English text, OpenAI's rule of thumb; used until the server has counted
DECREASE = 0.5


def estimated_tokens(characters: int) -> int:
    """About how many tokens a text of this length has."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def prompt_characters(messages: Sequence[Mapping[str, str]]) -> int:
    """The length of all messages together, without their roles."""
    return sum(len(message["content"]) for message in messages)


@dataclass(slots=True)
class Pace:
    """Units a minute, spread evenly; None: no limit."""

    per_minute: float | None
    free_at: float = 0.0

    def delay(self, now: float) -> float:
        """Seconds until more may be used."""
        return 0.0 if self.per_minute is None else max(0.0, self.free_at - now)

    def use(self, units: float, now: float) -> None:
        """Take units now; units that were not used before are lost."""
        if self.per_minute is not None:
            self.free_at = max(self.free_at, now) + 60 * units / self.per_minute

    def correct(self, units: float) -> None:
        """Add the units that were used beyond those taken; a negative number gives some back."""
        if self.per_minute is not None:
            self.free_at += 60 * units / self.per_minute


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that was let through: the time, and the tokens that it is expected to use."""

    sent_at: float
    tokens: float


class Limits:
    """The state of one account. It outlives a call of `answer`, so that the next call starts at the same pace."""

    def __init__(self, endpoint: EndpointConfig, max_new_tokens: int) -> None:
        self.maximum = endpoint.concurrency
        self.allowed = float(endpoint.concurrency)
        self.in_flight = 0
        self.paused_until = 0.0
        self._shrunk_at = -math.inf
        self._requests = Pace(endpoint.requests_per_minute)
        self._tokens = Pace(endpoint.tokens_per_minute)
        self._max_new_tokens = max_new_tokens
        self._answers, self._completion_tokens = 0, 0

    def delay(self, now: float) -> float:
        """Seconds until one more request may be sent; infinite: only after another one has come back."""
        if self.in_flight >= int(self.allowed):
            return math.inf
        return max(0.0, self.paused_until - now, self._requests.delay(now), self._tokens.delay(now))

    def enter(self, characters: int, now: float) -> Ticket:
        """Count a request that is about to be sent; expects an answer of mean length, or before any of the longest."""
        completion = self._completion_tokens / self._answers if self._answers else self._max_new_tokens
        ticket = Ticket(now, estimated_tokens(characters) + completion)
        self.in_flight += 1
        self._requests.use(1, now)
        self._tokens.use(ticket.tokens, now)
        return ticket

    def leave(self) -> None:
        """Count a request that came back or failed."""
        self.in_flight -= 1

    def answered(self, ticket: Ticket, prompt_tokens: int, completion_tokens: int) -> None:
        """After a good answer: allow a little more, and replace the expected tokens by the real ones."""
        self.allowed = min(self.maximum, self.allowed + 1 / self.allowed)
        self._answers += 1
        self._completion_tokens += completion_tokens
        self._tokens.correct(prompt_tokens + completion_tokens - ticket.tokens)

    def overloaded(self, ticket: Ticket, now: float) -> None:
        """The account gets too many requests: halve those in flight, once for all that were sent before."""
        if ticket.sent_at > self._shrunk_at:
            self.allowed = max(1.0, self.allowed * DECREASE)
            self._shrunk_at = now

    def pause(self, until: float) -> None:
        """Send nothing before that time."""
        self.paused_until = max(self.paused_until, until)
