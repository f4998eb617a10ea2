"""What went wrong in a rank, in words: the error of a user as it was raised, or the signal that ended the process.

A rank cannot report to Dagster Pipes unless it is the first, so it leaves its error in the file that torchrun names:

    {"message": {"message": "TrainingError: the loss is nan …", "error": "TrainingError", "words": "the loss is nan …"}}
"""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from distill_dagster.errors import UserError

ERROR_FILE = "TORCHELASTIC_ERROR_FILE"  # set by torchrun for each rank


def leave(error: UserError) -> None:
    """Write a user's error where the launcher finds it."""
    if path := os.environ.get(ERROR_FILE):
        name, words = type(error).__name__, str(error)
        extra = {"extraInfo": {"timestamp": str(int(time.time()))}}  # by which torchrun finds the first failure
        message = {"message": f"{name}: {words}", "error": name, "words": words, **extra}
        Path(path).write_text(json.dumps({"message": message}, allow_nan=False), encoding="utf-8")


def report_of(rank: int, exit_status: int, error_file: str) -> dict[str, str]:
    """The Pipes message about a rank that failed: the name of an error, and its words."""
    if said := _left(error_file):
        return {"error": said["error"], "message": said["words"]}
    return {"error": "ComputeError", "message": f"rank {rank} {_ending(exit_status)}; the others were ended with it"}


def _left(error_file: str) -> dict[str, Any] | None:
    try:
        message = json.loads(Path(error_file).read_text(encoding="utf-8"))["message"]
    except (OSError, ValueError, KeyError):
        return None
    return message if isinstance(message, dict) and "words" in message else None


def _ending(exit_status: int) -> str:
    if exit_status >= 0:
        return f"ended with status {exit_status}, and its log is above"
    name = signal.Signals(-exit_status).name
    way = ": most often the machine had no memory left, which its kernel's log says" if name == "SIGKILL" else ""
    return f"was ended by {name}{way}"
