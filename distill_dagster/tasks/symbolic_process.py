"""Compares expressions with math-verify in a process of its own, which is killed when one takes too long.

stdin   ["2\\\\sqrt{3}", "\\\\sqrt{12}"]       one JSON list a line: answer, gold
stdout  true
"""

import json
import selectors
import subprocess
import sys
from types import TracebackType
from typing import IO, Any

MEMORY = 2 * 2**30  # bytes of address space
START_S = 60.0  # the first answer also waits for sympy's import


class Comparer:
    """Asks the process, starting it when it is first needed; use it as a context."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Comparer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def equal(self, answer: str, gold: str) -> bool:
        """Whether both are the same expression; False where the comparison takes too long or fails."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([answer, gold], allow_nan=False) + "\n")
            process.stdin.flush()
            line = _line(process.stdout, self._seconds)
        except BrokenPipeError:
            line = ""
        if not line:
            self._end()
        return line.strip() == "true"

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "distill_dagster.tasks.symbolic_process"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )
        assert self._process.stdout is not None
        if _line(self._process.stdout, START_S).strip() != "ready":
            self._end()
            raise RuntimeError("the process that compares expressions does not start; is math-verify installed?")
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _line(stream: IO[str], seconds: float) -> str:
    """The next line, or "" where none comes in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(seconds) else ""


def _equal(answer: str, gold: str) -> bool:
    from math_verify import LatexExtractionConfig, parse, verify

    endless: Any = None  # no alarm signal: the parent watches the time
    grammar = [LatexExtractionConfig(boxed_match_priority=0)]  # the grammar of LaTeX alone: it evaluates no code
    theirs, mine = (
        parse(f"\\boxed{{{text}}}", extraction_config=grammar, fallback_mode="no_fallback", parsing_timeout=endless)
        for text in (gold, answer)
    )
    return bool(theirs and mine) and bool(verify(theirs, mine, timeout_seconds=endless))


def main() -> None:
    """Answer each line of stdin on stdout."""
    import resource

    from distill_dagster.process import end_with_parent

    end_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import math_verify  # noqa: F401

    print("ready", flush=True)
    for line in sys.stdin:
        try:
            same = _equal(*json.loads(line))
        except Exception:  # noqa: BLE001  # sympy raises all kinds of errors for what it cannot handle: no match
            same = False
        print(json.dumps(same, allow_nan=False), flush=True)


if __name__ == "__main__":
    main()
