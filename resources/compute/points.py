"""The points of a worker's curve as observations of its asset: the asset's plots grow while the worker runs.

A worker in the asset's process reports to `observer` directly. One in a Pipes child sends each point as a message;
Dagster's client would keep such messages until the child ends, so `Messages` takes them out as they arrive.

An observation carries no data version, so nothing downstream becomes stale.
"""

import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_pipes import PipesDefaultMessageWriter

from distill_dagster.progress import Point, PointListener

LOOK_S = 0.01  # between two looks for messages


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


class Messages(dg.PipesMessageReader):
    """Reads a worker's messages from a file as they arrive, and gives its points to a listener.

    The file is a temporary one, or that of `path`, which a worker on another machine sees too. Dagster's own reader
    takes a part of a line that is still being written for the whole, and loses the result.
    """

    def __init__(self, listener: PointListener, path: Path | None = None) -> None:
        self.listener, self.path = listener, path

    @contextlib.contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[dict[str, Any]]:
        """Inside the block a thread reads; at its end the thread reads what is left."""
        with tempfile.TemporaryDirectory() as folder:
            path, ended = self.path or Path(folder) / "messages", threading.Event()
            path.touch()
            thread = threading.Thread(target=self._follow, args=(path, ended.is_set, handler), daemon=True)
            thread.start()
            try:
                yield {
                    PipesDefaultMessageWriter.FILE_PATH_KEY: str(path),
                    PipesDefaultMessageWriter.INCLUDE_STDIO_IN_MESSAGES_KEY: False,
                }
            finally:
                ended.set()
                thread.join()

    def no_messages_debug_text(self) -> str:
        """What Dagster says if there was no message."""
        return f"Attempted to read messages from {self.path or 'a local temporary file'}."

    def _follow(self, path: Path, ended: Callable[[], bool], handler: dg.PipesMessageHandler) -> None:
        try:
            for line in whole_lines(path, ended):
                self._hand_on(json.loads(line), handler)
        except BaseException:
            handler.report_pipes_framework_exception("the reader of messages", sys.exc_info())
            raise

    def _hand_on(self, message: Any, handler: dg.PipesMessageHandler) -> None:
        payload = message["params"].get("payload") if message["method"] == "report_custom_message" else None
        if isinstance(payload, dict) and "point" in payload:
            self.listener(payload["point"])
        else:
            handler.handle_message(message)


def whole_lines(path: Path, ended: Callable[[], bool]) -> Iterator[str]:
    """The lines of a file that grows until `ended()`, each once it is complete.

    A line that is still incomplete then is left out: its writer was killed.
    """
    part = ""
    with path.open(encoding="utf-8") as file:
        while True:
            is_last_look = ended()
            if read := file.readline():
                part += read
                if part.endswith("\n"):
                    yield part
                    part = ""
            elif is_last_look:
                return
            else:
                time.sleep(LOOK_S)
