"""What runs log, as JSON lines on standard error; the UI keeps its own log of them.

Dagster's own processes have `--log-format json`, whose lines have other fields, and which the processes of runs lack.
"""

import logging

import dagster as dg

from distill_dagster.operations.dagster_internals import log_runs_with
from distill_dagster.telemetry.logs import json_handler, log_as_json, wants_json


@dg.logger({"log_level": dg.Field(str, default_value="DEBUG"), "name": dg.Field(str, default_value="dagster")})
def json_console(init_context: dg.InitLoggerContext) -> logging.Logger:
    """A line of JSON for each entry of the run's log."""
    level = logging.getLevelName(init_context.logger_config["log_level"].upper())
    logger = logging.Logger(init_context.logger_config["name"], level)
    logger.addHandler(json_handler(level))
    return logger


def log_runs_as_json() -> None:
    """Let runs of this process log as JSON lines, if DISTILL_LOG_FORMAT asks for that."""
    log_as_json()
    if wants_json():
        log_runs_with(json_console)
