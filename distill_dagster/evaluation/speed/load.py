"""What other processes take of the machine while a model is timed.

Linux counts for each thread how long it ran, and how long it was ready to run while its core did other work. Over all
threads of a process, (ran + waited) / ran is its wall time over its CPU time, adjusted to its threads: 1 on an idle
machine, also where some threads sleep, and 2 where every core is shared with a busy process.

Threads of one process also wait for each other. /proc/stat has the CPU time of the whole system, and what is not this
process's is that of others: no more waiting than this is their doing (`Turn.slowdown`).

Where the kernel does not count the waiting, `Turn.slowdown` takes wall time over CPU time. Several threads then hide a
part of the load.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

TASKS, SYSTEM = Path("/proc/self/task"), Path("/proc/stat")
BUSY = (0, 1, 2, 5, 6)  # columns of /proc/stat, see proc(5): user, nice, system, irq, softirq


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks of this process at one moment, in seconds."""

    wall_s: float
    cpu_s: float
    waited_s: float | None
    others_s: float | None  # CPU time of all other processes; precise to some 10 ms, and None where it is not known

    @classmethod
    def now(cls) -> "Clock":
        """Read them."""
        busy, cpu = _busy_s(), time.process_time()
        return cls(time.perf_counter(), cpu, _waited_s(), None if busy is None else busy - cpu)

    def since(self, start: "Clock") -> "Clock":
        """What passed since an earlier reading."""
        waited = _difference(self.waited_s, start.waited_s)
        return Clock(
            self.wall_s - start.wall_s,
            self.cpu_s - start.cpu_s,
            None if waited is None else max(0.0, waited),  # a thread that ended is not counted
            _difference(self.others_s, start.others_s),
        )


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


def _busy_s() -> float | None:
    """How long all cores together have worked since the system started; None where the system does not say."""
    try:
        columns = SYSTEM.read_text().split(maxsplit=11)[1:]
        return sum(int(columns[i]) for i in BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def load_average() -> list[float] | None:
    """The system's load averages over 1, 5 and 15 minutes; None where it has none."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (OSError, AttributeError):
        return None
