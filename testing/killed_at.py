"""Runs a worker that kills its own process, as a machine that loses power does, at a call of one function.

    python -m testing.killed_at publish_student huggingface_hub.lfs:lfs_upload 2 < spec.json

The calls before the second run one after another and to their end; instead of the second one comes SIGKILL.
"""

import functools
import importlib
import inspect
import os
import signal
import sys
import threading
from typing import Any

from distill_dagster.workers import main


def arm(target: str, number: int) -> None:
    """Replace `module:name`, or `module:Class.name`, by a function whose call of this number kills the process."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    function, calls, turn = getattr(owner, name), iter(range(1, number)), threading.Lock()

    def live() -> None:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def call(*arguments: Any, **named: Any) -> Any:
        with turn:
            live()
            return function(*arguments, **named)

    async def await_call(*arguments: Any, **named: Any) -> Any:
        live()
        return await function(*arguments, **named)

    setattr(owner, name, await_call if inspect.iscoroutinefunction(function) else call)


if __name__ == "__main__":
    worker, where, count = sys.argv[1:]
    arm(where, int(count))
    sys.exit(main([worker]))
