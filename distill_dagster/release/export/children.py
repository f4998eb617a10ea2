"""Runs the modules that build or ask an export in processes of their own, without a network.

A runtime's native code may end its process without an exception, and a builder leaves its libraries loaded.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from distill_dagster.errors import ComputeError

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
LAST_LINES = 15


def environment() -> dict[str, str]:
    """The environment of a child: offline, and with this package on its path."""
    paths = [str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | OFFLINE | {"PYTHONPATH": os.pathsep.join(paths)}


def run_module(module: str, arguments: Sequence[str], what: str, given: str = "") -> str:
    """Run a module to its end and return what it printed.

    Raises:
        ComputeError: it failed; the message ends with the last lines that it wrote.
    """
    child = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment(),
        check=False,
    )
    if child.returncode != 0:
        raise failed(what, child.returncode, child.stderr or child.stdout)
    return child.stdout


def failed(what: str, code: int, output: str) -> ComputeError:
    """The error of a child that ended with this exit status after writing `output`."""
    how = f"exit status {code}" if code > 0 else f"killed by signal {-code}"
    tail = "\n".join(output.strip().splitlines()[-LAST_LINES:])
    return ComputeError(f"{what} failed ({how}). The last lines of its output:\n{tail}")
