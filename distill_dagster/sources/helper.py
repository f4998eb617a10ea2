"""A second process that judges two of three batches of a long file, so that two cores read it.

    this process    cut lines | judge 3 | E011 and write 1, 2, 3 | judge 6 | E011 and write 4, 5, 6 | …
    the helper                | judge 1, 2       | judge 4, 5               | judge 7, 8 …

The helper is started when a file turns out to be long, and takes part once it is up. It is a fresh interpreter that is
spoken to over its own two pipes, never while it is busy, so neither side can wait for the other to read. It ends when
its input does: with this process at the latest.
"""

import contextlib
import gc
import itertools
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from distill_dagster.collecting import uncollected
from distill_dagster.sources.judging import Judge, Judged
from distill_dagster.sources.lines import Line

LONG_FILE = 50_000  # rows, about a second of work: below this a helper would come too late
SHARE = 2  # batches for the helper to one that is judged here, where all of them are cut, compared and written


def judge_all(judge: Judge, batches: Iterator[list[Line]]) -> Iterator[tuple[list[Line], Judged]]:
    """Every batch with its verdicts, in order; in two processes where the file is long and there are two cores."""
    with contextlib.ExitStack() as stack:
        helper: Helper | None = None
        theirs: list[list[Line]] = []  # the batches that the helper has
        read = 0
        for lines in batches:
            read += len(lines)
            if helper is None and read > LONG_FILE and _cores() > 1:
                helper = stack.enter_context(Helper(judge))
            if helper is not None and not theirs and helper.is_up():
                theirs = helper.send([lines, *itertools.islice(batches, SHARE - 1)])
                continue
            with uncollected():
                judged = judge(lines)
            if helper is not None and theirs:
                done = zip(theirs, helper.receive(), strict=True)
                theirs = helper.send(list(itertools.islice(batches, SHARE)))
                yield from done
            yield lines, judged
        if helper is not None and theirs:
            yield from zip(theirs, helper.receive(), strict=True)


class Helper:
    """The other process; a context manager."""

    def __init__(self, judge: Judge) -> None:
        command = [sys.executable, "-m", "distill_dagster.sources.helper"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._judge, self._up = judge, False

    def __enter__(self) -> "Helper":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def is_up(self) -> bool:
        """Whether it has come up; it is told then what to judge by."""
        assert self._process.stdout is not None
        if not self._up and select.select([self._process.stdout], [], [], 0)[0]:
            self.receive()
            self._hand(self._judge)
            self._up = True
        return self._up

    def send(self, batches: list[list[Line]]) -> list[list[Line]]:
        """Hand it some batches, if there are any, and return them; only while it waits. Raises as `receive` does."""
        if batches:
            self._hand(batches)
        return batches

    def _hand(self, value: Judge | list[list[Line]]) -> None:
        assert self._process.stdin is not None
        with self._alive():
            pickle.dump(value, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()

    def receive(self) -> Any:
        """What it made of the batches that it was handed.

        Raises:
            RuntimeError: it has ended; its own words are on standard error.
        """
        assert self._process.stdout is not None
        with self._alive():
            return pickle.load(self._process.stdout)

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as e:
            raise RuntimeError(f"the process that helps to read ended with code {self._process.wait()}") from e


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
            pickle.dump([judge(lines) for lines in pickle.load(given)], results, pickle.HIGHEST_PROTOCOL)
            results.flush()


if __name__ == "__main__":
    main()
