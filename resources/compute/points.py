"""The points of a worker's curve as observations of its asset: the asset's plots grow while the worker runs.

A worker in the asset's process reports to `observer` directly. One in a Pipes child sends each point as a message;
Dagster's client would keep such messages until the child ends, so `PointsReader` takes them out as they arrive.

An observation carries no data version, so nothing downstream becomes stale.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from distill_dagster.progress import Point, PointListener


def observer(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> PointListener:
    """Records each point at once as an observation of the asset that is being made; of a check, nothing."""
    if not isinstance(context, dg.AssetExecutionContext):
        return lambda point: None
    key, partition = context.asset_key, context.partition_key if context.has_partition_key else None

    def observe(point: Point) -> None:
        metadata = {
            name: number if isinstance(number, int) else float(f"{number:.4g}") for name, number in point.items()
        }
        said = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in metadata.items())
        context.log_event(dg.AssetObservation(key, partition=partition, description=said, metadata=metadata))

    return observe


class PointsReader(dg.PipesTempFileMessageReader):
    """Reads a child's messages as they arrive, and gives its points to a listener."""

    def __init__(self, listener: PointListener) -> None:
        super().__init__()
        self.listener = listener

    @contextlib.contextmanager
    def read_messages(self, handler: Any) -> Iterator[Any]:
        """The reader's own context, with a handler that sees each message first."""
        with super().read_messages(_Points(handler, self.listener)) as parameters:  # pyright: ignore[reportArgumentType]
            yield parameters


class _Points:
    """A message handler that keeps the points for itself and passes everything else on."""

    def __init__(self, handler: dg.PipesMessageHandler, listener: PointListener) -> None:
        self._handler, self._listener = handler, listener
        self.report_pipes_framework_exception: Callable[..., None] = handler.report_pipes_framework_exception

    def handle_message(self, message: Any) -> None:
        payload = message["params"].get("payload") if message["method"] == "report_custom_message" else None
        if isinstance(payload, dict) and "point" in payload:
            self._listener(payload["point"])
        else:
            self._handler.handle_message(message)
