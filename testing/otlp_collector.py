"""An OpenTelemetry collector on loopback: it takes OTLP over HTTP, and decodes the protobuf that was really sent.

    with Collector() as collector:
        run(env=collector.environment)
        collector.sum("distill.cost", **{"distill.role": "teacher"})
        collector.span("teacher_outputs").trace_id

`hangs=True`: it takes connections and answers none. `python -m testing.otlp_collector COUNTS` runs one in a process of
its own, which can be killed; it prints its port, and appends a line to the file COUNTS for each request.
"""

import gzip
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


@dataclass(frozen=True)
class Seen:
    """A span as it was sent."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    process: str  # service.instance.id
    attributes: dict[str, Any]
    is_error: bool
    start_ns: int
    end_ns: int


@dataclass
class Collector:
    """The collector, while the block runs."""

    hangs: bool = False
    spans: list[Seen] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)  # paths
    bodies: list[bytes] = field(default_factory=list)
    points: dict[tuple, float] = field(default_factory=dict)  # (metric, process, attributes) -> last cumulative value

    def __enter__(self) -> "Collector":
        self._lock, self.released = threading.Lock(), threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(self.path, body)
                if collector.hangs:
                    collector.released.wait()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a process send to it."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url}

    def take(self, path: str, body: bytes) -> None:
        """Keep what a request holds."""
        message = KINDS[path]()
        message.ParseFromString(body)
        with self._lock:
            self.requests.append(path)
            self.bodies.append(body)
            if path == "/v1/traces":
                self.spans += _spans(message)
            else:
                self.points |= dict(_points(message))

    def sum(self, metric: str, **attributes: str) -> float:
        """The metric over all processes, of the points with these attributes (dots as double underscores)."""
        wanted = {(name.replace("__", "."), value) for name, value in attributes.items()}
        return sum(value for (name, _, own), value in self.points.items() if name == metric and wanted <= set(own))

    def by(self, metric: str, attribute: str, **attributes: str) -> dict[str, float]:
        """The metric by the values of an attribute; values of 0 are left out."""
        own = attributes.items()
        values = {dict(key[2])[attribute] for key in self.points if key[0] == metric and attribute in dict(key[2])}
        found = {
            value: self.sum(metric, **dict(own), **{attribute.replace(".", "__"): value}) for value in sorted(values)
        }
        return {value: total for value, total in found.items() if total}

    def named(self, name: str) -> list[Seen]:
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]

    def parent(self, span: Seen) -> Seen | None:
        """The span above, if it was sent."""
        return next((other for other in self.spans if other.span_id == span.parent_id), None)


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def _attributes(entries: Any) -> dict[str, Any]:
    return {entry.key: _value(entry.value) for entry in entries}


def _spans(message: Any) -> Iterator[Seen]:
    for resource in message.resource_spans:
        process = _attributes(resource.resource.attributes)["service.instance.id"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    process=process,
                    attributes=_attributes(span.attributes),
                    is_error=span.status.code == 2,
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                )


def _points(message: Any) -> Iterator[tuple[tuple, float]]:
    for resource in message.resource_metrics:
        process = _attributes(resource.resource.attributes)["service.instance.id"]
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points:
                    own = tuple(sorted(_attributes(point.attributes).items()))
                    value = point.sum if kind == "histogram" else getattr(point, point.WhichOneof("value"))
                    yield (metric.name, process, own), value


def main(counts: str) -> None:
    """Run one until it is killed."""
    with Collector() as collector:
        print(collector.url.rpartition(":")[2], flush=True)
        seen = 0
        while True:
            threading.Event().wait(0.02)
            if len(collector.requests) > seen:
                with open(counts, "a") as file:
                    file.writelines(f"{path}\n" for path in collector.requests[seen:])
                seen = len(collector.requests)


if __name__ == "__main__":
    main(sys.argv[1])
