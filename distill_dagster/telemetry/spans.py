"""Spans: pieces of work with their time, each below the one that contains it, also across processes.

    run ─ teacher_outputs ─ generate_shard ─ chat gpt-4o          the worker may run in another process, on another node

A process gets its parent in the variable TRACEPARENT, as W3C's Trace Context writes it. A span that an error ended
holds the class of the error alone: messages may quote a row.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from distill_dagster.telemetry.pipeline import own_pipeline, trace_of_root
from distill_dagster.telemetry.switch import OF_OPENTELEMETRY, OWN, is_on
from distill_dagster.telemetry.where import handed_where, here

PARENT = "TRACEPARENT"
Attributes = Mapping[str, str | int | float | bool | Sequence[str]]
Kind = Literal["internal", "client"]


class OpenSpan:
    """A piece of work that is under way; without telemetry it takes everything and keeps nothing."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        if self._span is not None:
            self._span.set_attributes(dict(attributes))


OFF = OpenSpan()


@contextlib.contextmanager
def span(name: str, attributes: Attributes | None = None, kind: Kind = "internal") -> Iterator[OpenSpan]:
    """A span over the block, below the span that is open here, or else below that of the parent process."""
    if not is_on():
        yield OFF
        return
    from opentelemetry import context, trace

    own = {**here().attributes(), **(attributes or {})}
    opened = own_pipeline().tracer.start_span(name, _parent(), trace.SpanKind[kind.upper()], own)
    token = context.attach(trace.set_span_in_context(opened))
    try:
        yield OpenSpan(opened)
    except BaseException as e:
        opened.set_attribute("error.type", type(e).__name__)
        opened.set_status(trace.StatusCode.ERROR)
        raise
    finally:
        context.detach(token)
        opened.end()


@contextlib.contextmanager
def root_of(name: str, trace_id: str, attributes: Attributes | None = None) -> Iterator[OpenSpan]:
    """A span as `span` gives it; if it has no parent, it begins the trace of this id, 32 hexadecimal digits."""
    token = trace_of_root.set(int(trace_id, 16))
    try:
        with span(name, attributes) as opened:
            yield opened
    finally:
        trace_of_root.reset(token)


def is_inside() -> bool:
    """Whether a span is open here."""
    if not is_on():
        return False
    from opentelemetry import trace

    return trace.get_current_span().get_span_context().is_valid


def handed(*, far: bool = False) -> dict[str, str]:
    """What a worker's process needs in its environment; on another machine (`far`) also OpenTelemetry's variables."""
    own = {name: os.environ[name] for name in OWN if name in os.environ}
    if not is_on():
        return {**own, **handed_where()}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    parent = {PARENT: carrier["traceparent"]} if "traceparent" in carrier else {}
    theirs = {name: value for name, value in os.environ.items() if far and name.startswith(OF_OPENTELEMETRY)}
    return {**theirs, **own, **parent, **handed_where()}


def trace_ids() -> tuple[str, str] | None:
    """The ids of the trace and of the span that are open here, in hexadecimal; None without telemetry."""
    if not is_on():
        return None
    from opentelemetry import trace

    current = trace.get_current_span(_parent()).get_span_context()
    return (f"{current.trace_id:032x}", f"{current.span_id:016x}") if current.is_valid else None


def _parent() -> Any:
    """The context in which a span begins; None: the present one."""
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if trace.get_current_span().get_span_context().is_valid or PARENT not in os.environ:
        return None
    return TraceContextTextMapPropagator().extract({"traceparent": os.environ[PARENT]})
