"""How a worker reports its progress.

A worker runs `with track("train student", total=800) as advance: …; advance(1)` and does not know who listens: a
progress bar on the command line, Dagster's log in an asset, or the Pipes log in a child process. Listeners are a
context variable, so that two runs in one process report to their own. A line of a log reads:

    train student: 220 of 800, loss 0.513, learning rate 3.6e-04, 1 min 20 s left

A worker whose numbers make a curve also calls `report_point({"step": 220, "loss": 0.513})`. In an asset each point
becomes an observation of it.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

Note = Callable[[], str]  # called only when it is shown, as it may have to wait for the device


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work is; `done` and `total` count the worker's units."""

    label: str
    done: int
    total: int
    ended: bool  # True in the last report only
    passed_s: float  # since the work began
    left_s: float | None  # at the mean speed so far; None until a unit is done, and at the end
    note: Note | None = None

    def __str__(self) -> str:
        more = self.more()
        return f"{self.label}: {self.done:,} of {self.total:,}" + (f", {more}" if more else "")

    def more(self) -> str:
        """What is known beside the counts: the note, and the time that is left or that it took."""
        return ", ".join(part for part in (self.note() if self.note else "", self._time()) if part)

    def _time(self) -> str:
        if self.ended:
            return f"took {time_text(self.passed_s)}"
        return "" if self.left_s is None else f"{time_text(self.left_s)} left"


Listener = Callable[[Progress], None]


class Advance(Protocol):
    """Counts units as done; `note` says what else is known, such as the loss."""

    def __call__(self, units: int, note: Note | None = None) -> None: ...


_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())


@contextlib.contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Send the progress of all work inside the block to `listener`, and to those that listen already."""
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


@contextlib.contextmanager
def track(label: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Report on work of `total` units; an earlier run did `done` of them. Yields `advance(units)`."""
    listeners, began, at_first = _listeners.get(), time.monotonic(), done
    last_note: Note | None = None

    def report(ended: bool) -> None:
        passed, own = time.monotonic() - began, done - at_first
        left = passed / own * (total - done) if own and not ended else None
        for listener in listeners:
            listener(Progress(label, done, total, ended, passed, left, last_note))

    def advance(units: int, note: Note | None = None) -> None:
        nonlocal done, last_note
        done, last_note = done + units, note or last_note
        report(ended=False)

    try:
        yield advance
    finally:
        report(ended=True)


Point = Mapping[str, float]  # the numbers at one step
PointListener = Callable[[Point], None]

_point_listeners: ContextVar[tuple[PointListener, ...]] = ContextVar("point_listeners", default=())


@contextlib.contextmanager
def listen_to_points(listener: PointListener) -> Iterator[None]:
    """Send every point that is reported inside the block to `listener`, and to those that listen already."""
    token = _point_listeners.set((*_point_listeners.get(), listener))
    try:
        yield
    finally:
        _point_listeners.reset(token)


def to_listeners() -> PointListener:
    """A listener that passes points on to those that listen here, from a thread that knows nothing of them."""
    listeners = _point_listeners.get()

    def listener(point: Point) -> None:
        for one in listeners:
            one(point)

    return listener


def report_point(point: Point) -> None:
    """Report the next point of a curve. A worker reports about a hundred, because each is kept as an event."""
    for listener in _point_listeners.get():
        listener(point)


def log_listener(log: Callable[[str], None], every_s: float = 10.0) -> Listener:
    """A listener that logs at most one line every `every_s` seconds, and one at the end."""
    last = time.monotonic()

    def listener(progress: Progress) -> None:
        nonlocal last
        if progress.ended or time.monotonic() - last >= every_s:
            last = time.monotonic()
            log(str(progress))

    return listener


def time_text(seconds: float) -> str:
    """A time as `8 s`, `1 min 20 s`, or `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
