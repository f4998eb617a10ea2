"""A second process that judges some of the batches of a long file, so that two cores read it.

    this process    cut lines | judge 5 | judge 6 | E011 and write 1 to 6 | judge 11 | E011 and write 7 to 11 | …
    the helper                | judge 1, 2, 3, 4  | judge 7, 8, 9, 10     | judge …

Neither waits for the other while there is something to do. Whenever the helper has done its batches it is given the
next ones, and this process judges on by itself until then; so the work is shared out as the cores are free. Batches are
handed on in their order, which bounds how far this process can run ahead: by `AHEAD` batches.

The helper is started when a file turns out to be long, and takes part once it is up. It is a fresh interpreter that is
spoken to over its own two pipes, never while it is busy, so neither side can wait for the other to read. It ends when
its input does: with this process at the latest.
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

LONG_FILE = 50_000  # rows, about a second of work: below this a helper would come too late
SHARE = 4  # batches that the helper is given at once: enough to do while this process is busy with something else
AHEAD = 3 * SHARE  # batches that are held at most, whether they are judged or not
PIPE_BYTES = 1 << 20  # what a pipe may hold, where that can be asked for: 16 times the usual size


@dataclass(slots=True)
class _Batch:
    """Some lines, and what was made of them; None where the helper has them."""

    lines: list[Line]
    judged: Judged | None = None


def judge_all(judge: Judge, batches: Iterator[list[Line]]) -> Iterator[tuple[list[Line], Judged]]:
    """Every batch with its verdicts, in order; in two processes where the file is long and there are two cores."""
    with contextlib.ExitStack() as stack:
        helper: Helper | None = None
        held: deque[_Batch] = deque()  # in the order of the file
        read = 0
        while True:
            if helper is None and read > LONG_FILE and _cores() > 1:
                helper = stack.enter_context(Helper(judge))
            if helper is not None:
                helper.take_turns(batches, held, wait=len(held) >= AHEAD)
            while held and held[0].judged is not None:
                done = held.popleft()
                yield done.lines, done.judged  # pyright: ignore[reportReturnType]  # asked in the line before
            batch = next(batches, None)
            if batch is None:
                break
            read += len(batch)
            with uncollected():
                held.append(_Batch(batch, judge(batch)))
        if helper is not None:
            helper.take_turns(batches, held, wait=True)
        for done in held:
            assert done.judged is not None, "the helper has nothing left"
            yield done.lines, done.judged


class Helper:
    """The other process; a context manager."""

    def __init__(self, judge: Judge) -> None:
        command = [sys.executable, "-m", "distill_dagster.sources.judging.second_process"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        for pipe in (self._input, self._output):
            _widen(pipe.fileno())
        self._judge, self._up = judge, False
        self._theirs: list[_Batch] = []  # what it is busy with

    def __enter__(self) -> "Helper":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def take_turns(self, batches: Iterator[list[Line]], held: deque[_Batch], *, wait: bool) -> None:
        """Enter what it has judged, if it is ready or `wait` says so, and give it the next batches, which join `held`.

        Raises:
            RuntimeError: it has ended; its own words are on standard error.
        """
        if not self._is_up() or (self._theirs and not wait and not self._has_spoken()):
            return
        if self._theirs:
            for batch, judged in zip(self._theirs, self._receive(), strict=True):
                batch.judged = judged
        self._theirs = [_Batch(lines) for lines in itertools.islice(batches, SHARE)]
        if self._theirs:
            self._send([tuple(zip(*batch.lines, strict=True)) for batch in self._theirs])
            held.extend(self._theirs)

    def _is_up(self) -> bool:
        """Whether it has come up; it is told then what to judge by."""
        if not self._up and self._has_spoken():
            self._receive()
            self._send(self._judge)
            self._up = True
        return self._up

    def _has_spoken(self) -> bool:
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
            raise RuntimeError(f"the process that helps to read ended with code {self._process.wait()}") from e


def _widen(pipe: int) -> None:
    """Let a pipe hold more, which saves its two ends most of their turns; as it is where the system does not allow."""
    with contextlib.suppress(AttributeError, OSError):  # not Linux; the user's pipes hold too much already
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Say that it is up, take a judge, and judge batches until the input ends."""
    gc.disable()
    given, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints goes to standard error
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
