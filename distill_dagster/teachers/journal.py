"""An append-only file of replies: one line of JSON each, on disk before anything else happens.

    {"request_hash": "9c01…", "teacher": "deepseek-chat", "text": "4", "finish_reason": "stop", "cost_usd": 2.1e-06, …}

A killed process leaves at most one torn line, the last one, which the next writer cuts off. A writer holds the lock
until it closes the file, so a second run of the same shard waits, and then finds every reply.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from distill_dagster.errors import DataError

FSYNC_EVERY_S = 1.0  # a killed process loses nothing; a power failure loses the replies of this time


class ReplyLog(Protocol):
    """Where new replies are written."""

    def append(self, entry: dict[str, Any]) -> None:
        """Write one reply; DataError if it cannot be written."""
        ...

    def sync(self) -> None:
        """Make the written replies durable, where other processes find them."""
        ...


class Journal:
    """The open journal of one shard."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._size = _whole_bytes(path)
        os.ftruncate(self._file, self._size)
        self._synced = time.monotonic()

    def append(self, entry: dict[str, Any]) -> None:
        """Write one reply, a row of `schemas.RESPONSE`.

        Raises:
            DataError: the disk is full or the folder is read-only; the lines before stay readable.
        """
        data = (
            json.dumps(entry, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
                "utf-8", "surrogatepass"
            )
            + b"\n"
        )
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as e:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise DataError(
                f"{self.path} cannot be written ({e.strerror}); the replies before this one are kept: make room and "
                "run again"
            ) from e
        self._size += len(data)
        if time.monotonic() - self._synced > FSYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Force the written lines to disk."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        os.close(self._file)


@contextlib.contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal at `path`, for this process alone; another process that opens it waits.

    Raises:
        DataError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        lock.acquire()
        journal = Journal(path)
    except OSError as e:
        raise DataError(f"{path.parent} cannot be written ({e.strerror}); choose another `store:`") from e
    with lock:
        try:
            yield journal
        finally:
            journal.close()
            lock.release()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a journal, even while it is written; none if there is no such file."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return  # torn, or not yet whole
            try:
                yield json.loads(line.decode("utf-8", "surrogatepass"))
            except ValueError as e:
                raise DataError(
                    f"{path}, line {number}, is damaged ({e}); delete that line: its request is sent again"
                ) from e


def _whole_bytes(path: Path) -> int:
    """Bytes of the file up to its last newline."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        while size:
            start = max(0, size - (1 << 16))
            stream.seek(start)
            cut = stream.read(size - start).rfind(b"\n")
            if cut >= 0:
                return start + cut + 1
            size = start
    return 0
