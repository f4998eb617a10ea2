"""Log lines as JSON on standard error, if DISTILL_LOG_FORMAT is `json`.

    {"time": "2026-11-27T15:04:05.123+00:00", "level": "warning", "logger": "distill_dagster.teachers.retries",
     "message": "api.example.com asks to wait 2 min; continuing after 120 s", "project": "support", "run_id": "5f2c…",
     "stage": "teacher_outputs", "shard": "train-part-03", "trace_id": "5f2c…", "span_id": "00f067aa0ba902b7"}

Whatever looks like a secret or personal data is replaced, as in alerts (redaction.py).
"""

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

from distill_dagster.redaction import redact
from distill_dagster.telemetry.spans import trace_ids
from distill_dagster.telemetry.switch import LOG_FORMAT
from distill_dagster.telemetry.where import here

JSON = "json"


def wants_json() -> bool:
    """Whether this process writes its log as JSON lines."""
    return os.environ.get(LOG_FORMAT, "").strip().casefold() == JSON


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON. Records of Dagster's loggers bring the run and the step."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        dagster = getattr(record, "dagster_meta", None) or {}
        text = dagster.get("orig_message") or record.getMessage()
        document = {**self._head(record, text), **_of_dagster(dagster), **here().known(), **_ids()}
        if record.exc_info and record.exc_info[0]:
            document["error"] = record.exc_info[0].__name__
            document["traceback"] = redact("".join(traceback.format_exception(*record.exc_info)))
        return json.dumps(document, ensure_ascii=False, allow_nan=False)

    def _head(self, record: logging.LogRecord, text: str) -> dict[str, Any]:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return {"time": time, "level": record.levelname.lower(), "logger": record.name, "message": redact(text)}


def json_handler(level: int = logging.WARNING) -> logging.Handler:
    """A handler that writes JSON lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.setLevel(level)
    return handler


def log_as_json(level: int = logging.WARNING) -> None:
    """Write what this process logs as JSON lines, if DISTILL_LOG_FORMAT says so."""
    root = logging.getLogger()
    if wants_json() and not any(isinstance(handler.formatter, JsonLines) for handler in root.handlers):
        root.handlers[:] = [json_handler(level)]


def write_line(level: int, message: str) -> None:
    """Write a line of the command line, such as a step's end, which no logger has."""
    record = logging.LogRecord("distill_dagster.cli", level, "", 0, message, None, None)
    print(JsonLines().format(record), file=sys.stderr, flush=True)


def _of_dagster(said: dict[str, Any]) -> dict[str, str]:
    names = {"run_id": "run_id", "step_key": "step", "job_name": "job"}
    return {ours: str(value) for theirs, ours in names.items() if (value := said.get(theirs))}


def _ids() -> dict[str, str]:
    ids = trace_ids()
    return {"trace_id": ids[0], "span_id": ids[1]} if ids else {}
