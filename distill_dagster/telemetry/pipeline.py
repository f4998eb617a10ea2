"""The SDK of this process: batches in daemon threads, and an end that waits for at most `EXIT_S`.

The work only puts spans into a queue of bounded length, and adds to sums. Threads of their own send both; when a queue
is full, spans are dropped. At its end a process gives the collector `EXIT_S` seconds to take what is left: with one
that hangs, that is all it loses. The SDK itself would wait for up to a minute.

The providers are this package's own and not OpenTelemetry's global ones, because a Dagster process may hold others.
"""

import atexit
import os
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from distill_dagster.redaction import redact
from distill_dagster.telemetry.in_time import in_time
from distill_dagster.telemetry.switch import METRICS, OF_OPENTELEMETRY, TRACES, is_none, turn_off

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

SERVICE, PACKAGE = "distill-dagster", "distill_dagster"
trace_of_root: ContextVar[int | None] = ContextVar("trace_of_root", default=None)  # the id of the next new trace

_opened: list["Pipeline"] = []


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What spans and instruments are made with, and how all of it is sent."""

    tracer: "Tracer"
    meter: "Meter"
    flush: Callable[[], None]
    close: Callable[[], None]


@cache
def own_pipeline() -> Pipeline:
    """The pipeline of this process; it closes when the process ends. With a wrong variable it sends nothing."""
    try:
        opened = _open()
    except Exception as e:  # noqa: BLE001 - of the SDK, which reads its variables; telemetry fails no run
        turn_off(f"OpenTelemetry cannot be started with the variables {OF_OPENTELEMETRY}*: {redact(str(e) or repr(e))}")
        return _closed()
    _opened.append(opened)
    atexit.register(opened.close)
    return opened


def _open() -> Pipeline:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    named = {"service.version": version(SERVICE), "service.instance.id": str(uuid.uuid4())}
    resource = Resource.create(named if _names_service() else {"service.name": SERVICE, **named})
    spans = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=_ids())
    for processor in _processors():
        spans.add_span_processor(processor)
    metrics = MeterProvider(_readers(), resource=resource, shutdown_on_exit=False)
    return Pipeline(
        tracer=spans.get_tracer(PACKAGE, version(SERVICE)),
        meter=metrics.get_meter(PACKAGE, version(SERVICE)),
        flush=in_time(spans.force_flush, metrics.force_flush),
        close=in_time(spans.shutdown, metrics.shutdown),
    )


def _closed() -> Pipeline:
    """A pipeline that takes everything and sends nothing."""
    from opentelemetry.metrics import NoOpMeter
    from opentelemetry.trace import NoOpTracer

    return Pipeline(NoOpTracer(), NoOpMeter(PACKAGE), flush=lambda: None, close=lambda: None)


def _processors() -> list[Any]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return [] if is_none(TRACES) else [BatchSpanProcessor(OTLPSpanExporter())]


def _readers() -> list[Any]:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return [] if is_none(METRICS) else [PeriodicExportingMetricReader(OTLPMetricExporter())]


def flush() -> None:
    """Send what there is now, in at most `EXIT_S`: a kept worker, or a process that others may kill, is at an end."""
    for opened in _opened:
        opened.flush()


def _names_service() -> bool:
    """Whether the environment names the service."""
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")


def _ids() -> Any:
    """Random ids, except that the trace of a Dagster run has the id of the run."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return trace_of_root.get() or super().generate_trace_id()

    return Ids()
