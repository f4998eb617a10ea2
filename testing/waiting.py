"""Waits for an event, however busy the machine is."""

import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE = 1800  # seconds after which a test hangs; a machine that is busy with other work takes many times its usual


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition()`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen within {PATIENCE} s")
