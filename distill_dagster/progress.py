"""How long work tells whoever is watching how far it is.

A worker says `with track("train student", total=800) as advance: …; advance(1)`, and knows nothing of who
listens: a progress bar on the command line, Dagster's log in an asset, the Pipes log in a child process.
The listener is a context variable, so that two runs in one process do not hear each other.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """Who is told. `done` and `total` are counts of whatever the worker counts; `ended` comes once."""

    def __call__(self, label: str, done: int, total: int, ended: bool) -> None: ...


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Send the progress of everything inside the block to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def is_heard() -> bool:
    """Whether somebody listens in this context already."""
    return _listener.get() is not None


@contextlib.contextmanager
def track(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Announce a piece of work of `total` units; yields `advance(units)`."""
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
    """A listener that writes one line at most every `every_s` seconds, and one at the end."""
    last = time.monotonic()

    def listener(label: str, done: int, total: int, ended: bool) -> None:
        nonlocal last
        if ended or time.monotonic() - last >= every_s:
            last = time.monotonic()
            log(f"{label}: {done:,} of {total:,}")

    return listener
