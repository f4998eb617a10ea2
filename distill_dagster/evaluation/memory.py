"""How much memory this process takes at most while something runs.

Linux keeps a process's highest resident set, and forgets it on request, which is exact and costs nothing. Where it
cannot be asked (other systems, hardened containers) the resident set is sampled, and the result says so.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_EVERY_S = 0.005


@dataclass(slots=True)
class Peak:
    """The highest resident set of this process inside a `watch_memory` block, over the one at its start."""

    start: int = 0
    growth: int = 0
    how: str = ""
    _highest: int = field(default=0, repr=False)


def _resident() -> int:
    import psutil

    return psutil.Process().memory_info().rss


def _reset_high_water() -> bool:
    """Whether the kernel could be told to forget the process's highest resident set (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _high_water() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@contextlib.contextmanager
def watch_memory() -> Iterator[Peak]:
    """Measure the growth of the peak resident set in bytes; the `Peak` is complete when the block ends."""
    peak = Peak(start=_resident())
    if _reset_high_water():
        yield peak
        peak.growth = max(0, _high_water() - peak.start)
        peak.how = "growth of the peak resident set over the one just before loading (kernel's high-water mark)"
        return
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLE_EVERY_S):
            peak._highest = max(peak._highest, _resident())

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield peak
    finally:
        stop.set()
        sampler.join()
    peak.growth = max(0, peak._highest - peak.start)
    peak.how = (
        f"growth of the resident set over the one just before loading, sampled every {SAMPLE_EVERY_S * 1000:g} ms"
    )
