"""Python's cycle collector, kept out of loops that make millions of rows.

It is called for every 700 new objects, and from time to time goes through all that are alive. Rows, their lists and
their messages hold no cycles, so it finds nothing, and takes a quarter to a third of the time to look.
"""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without the cycle collector; what is no part of a cycle is freed as ever."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
