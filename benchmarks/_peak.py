"""A process's own peak of resident memory.

`ru_maxrss` is not it: on Linux a child that is started by a large process begins with that one's peak, since both
share their memory until the child's program is loaded. The high-water mark of /proc starts again there.
"""

import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """The highest resident set of this process, in bytes."""
    if sys.platform == "linux":
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak() -> int:
    """Let the peak of this process begin again at what it holds now, which is returned; Linux only."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()
