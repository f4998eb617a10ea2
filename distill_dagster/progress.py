"""How a worker reports its progress.

A worker runs `with track("train student", total=800) as advance: …; advance(1)` and does not know who listens: a
progress bar on the command line, Dagster's log in an asset, or the Pipes log in a child process. The listener is a
context variable, so that two runs in one process report to their own listeners.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """Receives progress. `done` and `total` count the worker's units; `ended` is True in the last call only."""

    def __call__(self, label: str, done: int, total: int, ended: bool) -> None: ...


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Send the progress of all work inside the block to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def is_heard() -> bool:
    """Whether this context already has a listener."""
    return _listener.get() is not None


@contextlib.contextmanager
def track(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Report on a piece of work of `total` units; yields `advance(units)`."""
    listener, done = _listener.get(), 0

    def advance(units: int) -> None:
        nonlocal done
        done += units
        if listener is not None:
            listener(label, done, total, False)

    try:
        yield advance
    finally:
        if listener is not None:
            listener(label, done, total, True)


def log_listener(log: Callable[[str], None], every_s: float = 10.0) -> Listener:
    """A listener that logs at most one line every `every_s` seconds, and one at the end."""
    last = time.monotonic()

    def listener(label: str, done: int, total: int, ended: bool) -> None:
        nonlocal last
        if ended or time.monotonic() - last >= every_s:
            last = time.monotonic()
            log(f"{label}: {done:,} of {total:,}")

    return listener
