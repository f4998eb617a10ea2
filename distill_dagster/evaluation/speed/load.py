"""What other processes take of the machine while a model is timed.

Linux counts for each thread how long it ran, and how long it was ready to run while its core did other work. Over all
threads of a process, (ran + waited) / ran is its wall time over its CPU time, adjusted to its threads: 1 on an idle
machine, also where some threads sleep, and 2 where every core is shared with a busy process.

Where the kernel does not count the waiting, `Turn.slowdown` takes wall time over CPU time. Several threads then hide a
part of the load.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

TASKS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks of this process at one moment, in seconds."""

    wall_s: float
    cpu_s: float
    waited_s: float | None

    @classmethod
    def now(cls) -> "Clock":
        """Read them."""
        return cls(time.perf_counter(), time.process_time(), _waited_s())

    def since(self, start: "Clock") -> "Clock":
        """What passed since an earlier reading."""
        waited = None
        if self.waited_s is not None and start.waited_s is not None:
            waited = max(0.0, self.waited_s - start.waited_s)  # a thread that ended is not counted
        return Clock(self.wall_s - start.wall_s, self.cpu_s - start.cpu_s, waited)


def _waited_s() -> float | None:
    """How long the threads of this process have waited for a core so far; None where the kernel does not say."""
    waited = 0
    try:
        for task in TASKS.iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
                waited += int((task / "schedstat").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return waited / 1e9 if (TASKS / str(os.getpid()) / "schedstat").is_file() else None


def load_average() -> list[float] | None:
    """The system's load averages over 1, 5 and 15 minutes; None where it has none."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (OSError, AttributeError):
        return None
