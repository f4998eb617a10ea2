"""Facts and controls of this process: its end with its parent, library versions, memory, garbage collection."""

import contextlib
import gc
import getpass
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

PARENT = "DISTILL_PARENT"  # the process id of the parent, in the environment of a child that ends with it
ATTEMPT = "DISTILL_ATTEMPT"  # the number of an attempt, in the environment of a worker that another machine runs


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, since the parent's device lease ends too (Linux only).

    A parent that died before this call is found if it left its process id in the environment.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    parent = os.environ.pop(PARENT, None)  # a child of this process has another parent
    if parent is not None and int(parent) != os.getppid():
        os.kill(os.getpid(), signal.SIGKILL)


def close_to_others() -> None:
    """Let nobody but this user, and its group, write the files that this process makes, even with umask 0."""
    os.umask(os.umask(0o022) | 0o002)


def user_name() -> str:
    """The name of the user that runs this process, or the user's number where the system knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user is in no list
        return f"user {os.getuid()}"


def library_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that shape a result, read without importing them."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in ("torch", "transformers")}}


CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
GB = 1024**3


def main_memory_gb() -> float:
    """The memory that this process may use: the machine's with its swap, or the container's limit."""
    import psutil

    total = psutil.virtual_memory().total + psutil.swap_memory().total
    return min([total, *_container_limits()]) / GB


def _container_limits() -> Iterator[int]:
    for name in CGROUP_LIMITS:
        path = Path(name)
        text = path.read_text().strip() if path.is_file() else ""
        if text.isdecimal():
            yield int(text)


SAMPLE_EVERY_S = 0.005


@dataclass(slots=True)
class Peak:
    """How much the resident set grew inside a `watch_memory` block: its peak minus its value at the start, in bytes."""

    start: int = 0
    growth: int = 0
    how: str = ""
    _highest: int = field(default=0, repr=False)


def _resident() -> int:
    import psutil

    return psutil.Process().memory_info().rss


def _reset_high_water() -> bool:
    """Reset the kernel's record of the highest resident set; False where that is not possible (not Linux)."""
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
    """Measure by how many bytes the resident set grows; the `Peak` is filled in when the block ends."""
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


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Turn the cyclic garbage collector off inside the block; reference counting still frees everything else."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
