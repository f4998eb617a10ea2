"""Steps that may hang, such as sending to a collector, done in threads that their caller waits for at most `EXIT_S`."""

import logging
import threading
import time
from collections.abc import Callable

LOG = logging.getLogger(__name__)
EXIT_S = 1.0


def in_time(*steps: Callable[[], object]) -> Callable[[], None]:
    """Do the steps side by side, and return after `EXIT_S` at the latest.

    A step of an earlier call that hangs still is not waited for again. The threads wait from now on: a process that is
    about to end may start none.
    """
    threads = [_Thread(step) for step in steps]

    def run() -> None:
        until = time.monotonic() + EXIT_S
        for ended in [ended for thread in threads if (ended := thread.begin())]:
            ended.wait(max(0.0, until - time.monotonic()))

    return run


class _Thread:
    """Does a step in a thread, once for each `begin`."""

    def __init__(self, step: Callable[[], object]) -> None:
        self._step, self._begins, self._lock = step, threading.Semaphore(0), threading.Lock()
        self._ended = threading.Event()
        self._ended.set()
        threading.Thread(target=self._work, name="telemetry", daemon=True).start()

    def begin(self) -> threading.Event | None:
        """Let it do the step; the event is set at the end of it. None while an earlier one is under way."""
        with self._lock:
            if not self._ended.is_set():
                return None
            self._ended = threading.Event()
            self._begins.release()
            return self._ended

    def _work(self) -> None:
        while self._begins.acquire():
            try:
                self._step()
            except Exception as e:  # noqa: BLE001 - of the SDK; telemetry fails no run
                LOG.debug("telemetry: %s", type(e).__name__)
            self._ended.set()
