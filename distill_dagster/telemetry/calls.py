"""The calls to a model: one span for a group of requests, and each reply in the metrics.

A span for each request would cost more than all others together, at thousands of requests a shard. So one stands for
the requests that are sent together, and a request has its own only in the share that DISTILL_TRACED_REQUESTS names,
from 0 (the default) to 1. Attributes follow the conventions of `gen_ai`; their prompts and answers are left out.

    chat gpt-4o   gen_ai.operation.name=chat  gen_ai.request.model=gpt-4o  gen_ai.usage.input_tokens=18250
                  gen_ai.usage.output_tokens=3120  distill.role=teacher  distill.requests=250  distill.failed=1
"""

import contextlib
import logging
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field

from distill_dagster.telemetry import instruments
from distill_dagster.telemetry.spans import OFF, OpenSpan, span
from distill_dagster.telemetry.switch import SHARE, is_on

LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Calls:
    """What a group of requests came to."""

    labels: dict[str, str]
    requests: int = 0
    failed: int = 0
    tokens: tuple[int, int] = (0, 0)
    cost_usd: float = 0.0
    retries: Counter[str] = field(default_factory=Counter)

    def add(
        self, prompt_tokens: int, completion_tokens: int, cost_usd: float, latency_ms: float, error: str | None
    ) -> None:
        """Count a reply; `error` is the code of a failed one."""
        self.requests += 1
        self.failed += error is not None
        self.tokens = self.tokens[0] + prompt_tokens, self.tokens[1] + completion_tokens
        self.cost_usd += cost_usd
        instruments.add_reply(
            self.labels,
            tokens=(prompt_tokens, completion_tokens),
            cost_usd=cost_usd,
            seconds=latency_ms / 1000,
            outcome=error or "ok",
        )

    def summary(self) -> dict[str, int | float]:
        """The sums as attributes of the group's span."""
        return {
            "gen_ai.usage.input_tokens": self.tokens[0],
            "gen_ai.usage.output_tokens": self.tokens[1],
            "distill.requests": self.requests,
            "distill.failed": self.failed,
            "distill.retries": self.retries.total(),
            "distill.cost_usd": round(self.cost_usd, 9),
        }


_calls: ContextVar[Calls | None] = ContextVar("calls", default=None)


@contextlib.contextmanager
def calls_to(model: str, role: str, host: str | None) -> Iterator[Calls]:
    """The requests of the block, to one model. `host` is that of its endpoint, None for a model that runs here."""
    labels = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": host or "local",
        "gen_ai.request.model": model,
        "distill.role": role,
    } | ({"server.address": host} if host else {})
    group = Calls(labels)
    token = _calls.set(group)
    try:
        with span(f"chat {model}", labels, "client") as opened:
            try:
                yield group
            finally:
                opened.set(group.summary())
    finally:
        _calls.reset(token)
        instruments.add_retries(labels, group.retries)


def add_retry(kind: str) -> None:
    """Count an attempt that is sent again, such as after a `timeout` or `http_503`."""
    if group := _calls.get():
        group.retries[kind] += 1


@contextlib.contextmanager
def one_request() -> Iterator[OpenSpan]:
    """A span over one request, if it is drawn."""
    group = _calls.get()
    if group is None or random.random() >= _share():
        yield OFF
        return
    with span(f"chat {group.labels['gen_ai.request.model']}", group.labels, "client") as opened:
        yield opened


def _share() -> float:
    text = os.environ.get(SHARE, "")
    try:
        return float(text) if text and is_on() else 0.0
    except ValueError:
        LOG.warning("%s is %r, and must be a number from 0 to 1: no request gets a span of its own", SHARE, text)
        os.environ[SHARE] = ""
        return 0.0
