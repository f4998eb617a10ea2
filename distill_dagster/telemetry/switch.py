"""Whether telemetry is on: OTEL_EXPORTER_OTLP_ENDPOINT is set, and this machine can send what it asks for."""

import importlib.util
import logging
import os
from functools import cache

LOG = logging.getLogger(__name__)
ENDPOINT, DISABLED = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SDK_DISABLED"
PROTOCOL, PROTOCOL_SENT = "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
OF_OPENTELEMETRY = "OTEL_"  # how the names of its variables begin


def is_on() -> bool:
    """Whether spans and metrics are sent. A kept worker serves steps with other environments, so it looks each time."""
    if not os.environ.get(ENDPOINT) or os.environ.get(DISABLED, "").strip().casefold() == "true":
        return False
    return _can_send(os.environ.get(PROTOCOL, PROTOCOL_SENT))


@cache
def _can_send(protocol: str) -> bool:
    """Whether the packages are there and speak the protocol; if not, it says so once, and the run goes on."""
    if protocol != PROTOCOL_SENT:
        LOG.warning(
            "no telemetry is sent: %s is %s, and this package sends %s: unset it, and give the collector's HTTP port "
            "(usually 4318) in %s",
            *(PROTOCOL, protocol, PROTOCOL_SENT, ENDPOINT),
        )
        return False
    packages = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
    if all(map(_is_there, packages)):
        return True
    LOG.warning("no telemetry is sent: %s is set, and `distill-dagster[otel]` is not installed", ENDPOINT)
    return False


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package that holds it
        return False
