"""The SDK of this process: batches in daemon threads, and an end that waits for at most `EXIT_S`.

The work only puts spans into a queue of bounded length, and adds to sums. Threads of their own send both; when a queue
is full, spans are dropped. At its end a process gives the collector `EXIT_S` seconds to take what is left: with one
that hangs, that is all it loses. The SDK itself would wait for up to a minute.

The providers are this package's own and not OpenTelemetry's global ones, because a Dagster process may hold others.
"""

import atexit
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

LOG = logging.getLogger(__name__)
SERVICE, PACKAGE = "distill-dagster", "distill_dagster"
EXIT_S = 1.0
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
def pipeline() -> Pipeline:
    """The pipeline of this process; it closes when the process ends."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {"service.version": version(SERVICE), "service.instance.id": str(uuid.uuid4())}
    resource = Resource.create(named if _names_service() else {"service.name": SERVICE, **named})
    spans = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=_ids())
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    metrics = MeterProvider(
        [PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource, shutdown_on_exit=False
    )
    opened = Pipeline(
        tracer=spans.get_tracer(PACKAGE, version(SERVICE)),
        meter=metrics.get_meter(PACKAGE, version(SERVICE)),
        flush=_in_time(spans.force_flush, metrics.force_flush),
        close=_in_time(spans.shutdown, metrics.shutdown),
    )
    _opened.append(opened)
    atexit.register(opened.close)
    return opened


def flush() -> None:
    """Send what there is now, in at most `EXIT_S`: a kept worker, or a process that others may kill, is at an end."""
    for opened in _opened:
        opened.flush()


def _names_service() -> bool:
    """Whether the environment names the service."""
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")


def _in_time(*steps: Callable[[], object]) -> Callable[[], None]:
    """Do the steps side by side, and return after `EXIT_S` at the latest.

    The threads wait from now on: a process that is about to end may start none.
    """
    ended = threading.Semaphore(0)
    begins = [_waiting(step, ended) for step in steps]

    def run() -> None:
        until = time.monotonic() + EXIT_S
        for begin in begins:
            begin.release()
        for _ in steps:
            ended.acquire(timeout=max(0.0, until - time.monotonic()))

    return run


def _waiting(step: Callable[[], object], ended: threading.Semaphore) -> threading.Semaphore:
    """A thread that does the step each time the semaphore lets it."""
    begin = threading.Semaphore(0)

    def work() -> None:
        while begin.acquire():
            try:
                step()
            except Exception as e:  # noqa: BLE001 - of the SDK; telemetry fails no run
                LOG.debug("telemetry: %s", type(e).__name__)
            ended.release()

    threading.Thread(target=work, name="telemetry", daemon=True).start()
    return begin


def _ids() -> Any:
    """Random ids, except that the trace of a Dagster run has the id of the run."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return trace_of_root.get() or super().generate_trace_id()

    return Ids()
