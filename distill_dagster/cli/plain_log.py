"""Keeps colour codes out of log files: Dagster's processes write them even if their output is no terminal.

    distill-dagster dev 2> dev.log        2026-01-01 09:00:00 +0000 - dagster - INFO - …

Run as a program, it copies standard input to standard output without the codes, until all writers have ended.
"""

import os
import re
import signal
import subprocess
import sys

CODES = re.compile(rb"\x1b\[[0-9;]*m")  # SGR, which sets colours and weights


def plain_logs() -> None:
    """Pass what this process and its children write to standard output and error through this program, if a file or a
    pipe receives it."""
    for stream in (sys.stdout, sys.stderr):
        if not stream.isatty():
            stream.flush()
            _filter(stream.fileno())


def _filter(number: int) -> None:
    """Put a process of this program between file descriptor `number` and what it is now."""
    reader, writer = os.pipe()
    subprocess.Popen([sys.executable, "-m", "distill_dagster.cli.plain_log"], stdin=reader, stdout=number)
    os.dup2(writer, number)
    os.close(reader)
    os.close(writer)


def copy() -> None:
    """Copy line by line. A signal that ends the writers does not end the copy of their last lines."""
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(CODES.sub(b"", line))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    copy()
