"""What a child process owes its parent: to end when the parent does."""

import signal
import sys


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies: the parent's device lease ends then too (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
