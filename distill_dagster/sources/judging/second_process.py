"""A second process that judges some of the batches of a long file, so that two cores share the work.

    this process    cut lines | judge 5 | judge 6 | E011 and write 1 to 6 | judge 11 | E011 and write 7 to 11 | …
    second process            | judge 1, 2, 3, 4  | judge 7, 8, 9, 10     | judge …

Neither process waits for the other while it has work. When the second process has finished its batches, it gets the
next ones; until then this process judges batches too. So the faster core does more. Batches are yielded in the order of
the file, and this process runs at most `AHEAD` batches ahead.

The second process starts once a file turns out to be long, and gets work when it is ready. It is a fresh interpreter
that reads from one pipe and writes to another. This process only writes to it while it is idle, so the two never block
each other. It ends when its input ends, at the latest with this process.
"""

import contextlib
import fcntl
import gc
import itertools
import os
import pickle
import select
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from distill_dagster.process import uncollected
from distill_dagster.sources.files.lines import Line
from distill_dagster.sources.judging.judge import Judge, Judged

LONG_FILE = 50_000  # rows, about a second of work; in a shorter file the second process would be ready too late
SHARE = 4  # batches that the second process gets at once, enough to keep it busy while this one does something else
AHEAD = 3 * SHARE  # most batches in memory, judged or not
PIPE_BYTES = 1 << 20  # capacity of a pipe, where it can be set: 16 times the default


@dataclass(slots=True)
class _LineBatch:
    """Some lines and their verdicts; None while the second process works on them."""

    lines: list[Line]
    judged: Judged | None = None


def judge_all(judge: Judge, batches: Iterator[list[Line]]) -> Iterator[tuple[list[Line], Judged]]:
    """Every batch with its verdicts, in order; in two processes if the file is long and two cores are available."""
    with contextlib.ExitStack() as stack:
        second: SecondProcess | None = None
        held: deque[_LineBatch] = deque()  # in the order of the file
        read = 0
        while True:
            if second is None and read > LONG_FILE and _cores() > 1:
                second = stack.enter_context(SecondProcess(judge))
            if second is not None:
                second.exchange(batches, held, wait=len(held) >= AHEAD)
            while held and held[0].judged is not None:
                done = held.popleft()
                yield done.lines, done.judged  # pyright: ignore[reportReturnType]  # the line above checks it
            batch = next(batches, None)
            if batch is None:
                break
            read += len(batch)
            with uncollected():
                held.append(_LineBatch(batch, judge(batch)))
        if second is not None:
            second.exchange(batches, held, wait=True)
        for done in held:
            assert done.judged is not None, "the second process has returned all of its batches"
            yield done.lines, done.judged


class SecondProcess:
    """The handle of the second process; a context manager."""

    def __init__(self, judge: Judge) -> None:
        command = [sys.executable, "-m", "distill_dagster.sources.judging.second_process"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        for pipe in (self._input, self._output):
            _widen(pipe.fileno())
        self._judge, self._ready = judge, False
        self._given: list[_LineBatch] = []  # what it is working on

    def __enter__(self) -> "SecondProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def exchange(self, batches: Iterator[list[Line]], held: deque[_LineBatch], *, wait: bool) -> None:
        """Take its verdicts once they are ready, or `wait` for them, and give it the next batches, which join `held`.

        Raises:
            RuntimeError: it has ended; its own error is on standard error.
        """
        if not self._is_ready() or (self._given and not wait and not self._has_output()):
            return
        if self._given:
            for batch, judged in zip(self._given, self._receive(), strict=True):
                batch.judged = judged
        self._given = [_LineBatch(lines) for lines in itertools.islice(batches, SHARE)]
        if self._given:
            self._send([tuple(zip(*batch.lines, strict=True)) for batch in self._given])
            held.extend(self._given)

    def _is_ready(self) -> bool:
        """Whether it has started; it gets the judge as soon as it has."""
        if not self._ready and self._has_output():
            self._receive()
            self._send(self._judge)
            self._ready = True
        return self._ready

    def _has_output(self) -> bool:
        return bool(select.select([self._output], [], [], 0)[0])

    def _send(self, value: Judge | list[tuple[Any, ...]]) -> None:
        with self._alive():
            pickle.dump(value, self._input, pickle.HIGHEST_PROTOCOL)
            self._input.flush()

    def _receive(self) -> Any:
        with self._alive():
            return pickle.load(self._output)

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as e:
            code = self._process.wait()
            raise RuntimeError(f"the second process that reads the file ended with code {code}; run again") from e


def _widen(pipe: int) -> None:
    """Enlarge a pipe, so that its ends switch less often; where the system refuses, the pipe stays as it is."""
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or the user's pipes are too large already
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Report that the process is ready, take a judge, and judge batches until the input ends."""
    gc.disable()
    given, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # anything printed goes to standard error
    pickle.dump(None, results)
    results.flush()
    with contextlib.suppress(EOFError):
        judge = pickle.load(given)
        while True:
            batches = [list(map(Line, *columns)) for columns in pickle.load(given)]
            pickle.dump([judge(lines) for lines in batches], results, pickle.HIGHEST_PROTOCOL)
            results.flush()


if __name__ == "__main__":
    main()
