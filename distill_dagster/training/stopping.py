"""Ends a training that is asked to end, by SIGTERM or SIGINT, only after it has written a checkpoint.

A pod that is evicted, a run that is terminated in the UI, and Ctrl-C send one of them. The step that runs is finished,
a checkpoint follows, and then the signal does what it would have done. A second signal does it at once.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """The training was asked to end, and its checkpoint is written."""


@dataclass(slots=True)
class StopRequest:
    """Which signal asks this process to end."""

    signal: int | None = None


@contextlib.contextmanager
def deferred() -> Iterator[StopRequest]:
    """Inside the block the first signal is only noted. It is delivered when the block ends, also by `Stopped`.

    Signals are only handled in the main thread of a process; in another one they end the process as before.
    """
    asked = StopRequest()
    before = _handle(asked) if threading.current_thread() is threading.main_thread() else {}
    try:
        yield asked
    except Stopped:
        asked.signal = asked.signal or signal.SIGTERM  # that of another rank
    finally:
        _restore(before)
    if asked.signal is not None:
        signal.raise_signal(asked.signal)
        raise KeyboardInterrupt  # whoever handled the signal went on


def _handle(asked: StopRequest) -> dict[signal.Signals, Any]:
    """Note the next signal in `asked`; the handlers that there were before."""
    before: dict[signal.Signals, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        if asked.signal is not None:
            _restore(before)
            signal.raise_signal(number)
        asked.signal = number

    for number in SIGNALS:
        before[number] = signal.signal(number, note)
    return before


def _restore(before: dict[signal.Signals, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler if handler is not None else signal.SIG_DFL)
