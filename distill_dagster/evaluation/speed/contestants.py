"""A model in a process of its own, as the rounds see it.

Each model has a fresh process, so that none is faster because another one's code or weights were warm, and none is
charged for another one's memory. All of them stay loaded while the rounds run, and all but the one whose turn it is are
stopped: the threads of onnxruntime and llama.cpp spin for a while after an answer, and would take the cores of the next
model.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel

from distill_dagster.errors import ComputeError
from distill_dagster.evaluation.speed.child import Ask, Ready
from distill_dagster.evaluation.speed.engines import Order
from distill_dagster.evaluation.speed.specs import MemoryUse, Turn

STDERR_LINES = 15
WARM_UPS = 3
CAN_STOP = sys.platform == "linux"  # elsewhere, a stopped child would outlive a parent that is killed
Said = TypeVar("Said", bound=BaseModel)


class Child:
    """One model in a child process; a context that ends the process.

    Example:
        >>> with Child(order) as child:
        ...     child.turn([0, 1], 1).latencies_ms
        [11.2, 9.8]
    """

    is_sliced = True

    def __init__(self, order: Order) -> None:
        self.name, self._order = order.timed.name, order
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Start the process; `ready` waits until the model is open."""
        package_root = str(Path(__file__).parents[3])
        paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._errors = self._open.enter_context(tempfile.TemporaryFile())
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._order.timed.process],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        self._open.callback(self._end)
        self._send(self._order)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the process."""
        self._open.close()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:  # it ended with input unread
                    continue

    @cached_property
    def ready(self) -> Ready:
        """What the model is; waits until it is open. ComputeError: it could not be opened."""
        ready = self._hear(Ready)
        self._signal(signal.SIGSTOP)
        return ready

    def is_timed(self, concurrency: int) -> bool:
        """Always."""
        return True

    def use(self, prompts: Sequence[int]) -> None:
        """The prompts that all models can answer: from now on, positions are those in this list."""
        self._prompts = list(prompts)

    def warm_up(self, concurrency: int) -> float:
        """Answer some prompts untimed; returns the seconds that one took."""
        if concurrency > 1:
            return self.turn(range(min(concurrency, len(self._prompts))), concurrency).wall_s
        self.turn([0], 1)
        turn = self.turn(range(min(WARM_UPS, len(self._prompts))), 1)
        return turn.wall_s / len(turn.latencies_ms)

    def turn(self, prompts: Sequence[int], concurrency: int) -> Turn:
        """Answer the prompts of these positions, `concurrency` at a time; ComputeError: the process failed."""
        self._signal(signal.SIGCONT)
        self._send(Ask(prompts=[self._prompts[i] for i in prompts], concurrency=concurrency))
        turn = self._hear(Turn)
        self._signal(signal.SIGSTOP)
        return turn

    def close(self) -> MemoryUse:
        """Let the process end; returns the memory that it used."""
        assert self._process.stdin is not None, "it is a pipe"
        self._signal(signal.SIGCONT)
        self._process.stdin.close()
        return self._hear(MemoryUse)

    def _signal(self, number: signal.Signals) -> None:
        if CAN_STOP:
            self._process.send_signal(number)

    def _send(self, document: BaseModel) -> None:
        assert self._process.stdin is not None, "it is a pipe"
        try:
            print(document.model_dump_json(), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._failure() from None

    def _hear(self, kind: type[Said]) -> Said:
        assert self._process.stdout is not None, "it is a pipe"
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise self._failure()
        return kind.model_validate_json(line)

    @property
    def _what(self) -> str:
        timed = self._order.timed
        return f"{timed.model.name} as {timed.name}" if timed.is_export else timed.model.name

    def _failure(self) -> ComputeError:
        code = self._process.wait()
        how = f"exit status {code}" if code >= 0 else f"killed by signal {-code}"
        self._errors.seek(0)
        tail = "\n".join(self._errors.read().decode("utf-8", "replace").strip().splitlines()[-STDERR_LINES:])
        return ComputeError(
            f"measuring {self._what} on {self._order.device} failed ({how}; signal 9 usually means "
            f"that memory ran out: all models that are timed together are in memory at once). The last lines of its "
            f"output:\n{tail}"
        )
