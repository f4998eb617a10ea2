"""Whether telemetry is on: OTEL_EXPORTER_OTLP_ENDPOINT is set, and this machine can send what it asks for."""

import importlib.util
import logging
import os
from functools import cache

LOG = logging.getLogger(__name__)
ENDPOINT, DISABLED = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SDK_DISABLED"
PROTOCOL, PROTOCOL_SENT = "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
EXPORTERS = TRACES, METRICS = "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"
SHARE, LOG_FORMAT = OWN = "DISTILL_TRACED_REQUESTS", "DISTILL_LOG_FORMAT"  # this package's own variables
OF_OPENTELEMETRY = "OTEL_"  # how the names of its variables begin

_said: set[str] = set()
_broken: list[str] = []  # why the SDK could not be started


def is_on() -> bool:
    """Whether spans and metrics are sent. A kept worker serves steps with other environments, so it looks each time."""
    if not os.environ.get(ENDPOINT) or os.environ.get(DISABLED, "").strip().casefold() == "true":
        return False
    if all(map(is_none, EXPORTERS)):
        return False
    if why := _broken[-1] if _broken else _why_not(os.environ.get(PROTOCOL, PROTOCOL_SENT)):
        _warn(why)
    return not why


def is_none(exporter: str) -> bool:
    """Whether the variable of an exporter says that there is to be none."""
    return os.environ.get(exporter, "").strip().casefold() == "none"


def turn_off(why: str) -> None:
    """Send nothing from this process on, and say why, once."""
    _broken.append(why)
    _warn(why)


def _warn(why: str) -> None:
    """Say once why nothing is sent. It is noted first: the formatter of JSON lines asks `is_on` again."""
    if why not in _said:
        _said.add(why)
        LOG.warning("no telemetry is sent: %s", why)


@cache
def _why_not(protocol: str) -> str:
    """Why this machine cannot send what is asked for; empty if it can. It logs nothing, see `_warn`."""
    if protocol != PROTOCOL_SENT:
        return (
            f"{PROTOCOL} is {protocol}, and this package sends {PROTOCOL_SENT}: unset it, and give the collector's "
            f"HTTP port (usually 4318) in {ENDPOINT}"
        )
    packages = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
    if all(map(_is_there, packages)):
        return ""
    return f"{ENDPOINT} is set, and `distill-dagster[otel]` is not installed"


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package that holds it
        return False
