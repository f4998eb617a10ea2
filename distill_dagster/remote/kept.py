"""A worker's process that stays on its node between orders, with its models loaded. Ray runs it as an actor.

A step takes it, gives it one order, and releases it. It ends, and gives its GPUs back,

- when nobody has taken it for `idle_s` seconds,
- when the step that holds it has not renewed its hold for `HOLD_S` seconds, because that step is dead or hangs,
- and when its process ends in an order, as by an error that is no user's.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from distill_dagster.process import PARENT
from distill_dagster.remote.attempt import Where
from distill_dagster.remote.order import LOOK_S, Ended, WorkOrder, end, messages_of, visible

HOLD_S = 7.0
ANSWER_S = 3.0  # for the answer to the order in which the process ended


class KeptWorker:
    """One process for one order at a time. Its methods may be called side by side.

    Example:
        >>> worker = KeptWorker(Where("node", "host"), idle_s=60)
        >>> worker.take("step 1", ["node"])
        True
        >>> worker.carry_out(order)
        Ended(code=0, messages=1180)
    """

    def __init__(self, where: Where, idle_s: float) -> None:
        self.where, self.idle_s = where, idle_s
        self._lock, self._holder, self._seen = threading.Lock(), "", time.monotonic()
        self._child: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        threading.Thread(target=self._live, daemon=True).start()
        self._ready.wait()

    def take(self, holder: str, nodes: Sequence[str]) -> bool:
        """Hold the worker, unless another step does, its process has ended, or it is on none of these nodes."""
        with self._lock:
            has_ended = self._child is None or self._child.poll() is not None
            if has_ended or self._holder not in ("", holder) or self.where.node not in nodes:
                return False
            self._holder, self._seen = holder, time.monotonic()
            return True

    def renew(self, holder: str) -> None:
        """Say that the holder lives."""
        with self._lock:
            if self._holder == holder:
                self._seen = time.monotonic()

    def release(self, holder: str) -> None:
        """Let others take the worker."""
        with self._lock:
            if self._holder == holder:
                self._holder, self._seen = "", time.monotonic()

    def carry_out(self, order: WorkOrder) -> Ended:
        """Run one worker in the process; the exit status is that of the process if it ends, else 0."""
        child = self._child
        assert child is not None
        assert child.stdin is not None
        order.attempt.start(self.where)
        with contextlib.suppress(BrokenPipeError):  # it has ended
            child.stdin.write(json.dumps(order.variables(self.where), allow_nan=False) + "\n")
            child.stdin.flush()
        while not select.select([self._answers], [], [], LOOK_S)[0]:
            if order.attempt.is_given_up:
                end(child)
        answered = self._answers.readline()
        code = 0 if answered else child.wait()
        return Ended(code, messages_of(order.attempt))

    def _live(self) -> None:
        """Start the process, and end both at the right time. The kernel ties the process to this thread's life."""
        answers, done = os.pipe()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "distill_dagster.workers", "--serve", str(done)],
            env={**os.environ, **visible(self.where.devices), PARENT: str(os.getpid())},
            stdin=subprocess.PIPE,
            pass_fds=(done,),
            text=True,
        )
        os.close(done)
        self._answers = os.fdopen(answers, encoding="utf-8")
        self._ready.set()
        while self._child.poll() is None and not self._is_over():
            time.sleep(LOOK_S)
        if self._child.poll() is not None:
            time.sleep(ANSWER_S)
        os.kill(os.getpid(), signal.SIGKILL)

    def _is_over(self) -> bool:
        with self._lock:
            return time.monotonic() - self._seen > (HOLD_S if self._holder else self.idle_s)
