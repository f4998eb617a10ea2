"""The data versions of source files, cached so that an unchanged file is not read again.

    /data/train/part-00.jsonl    sha256 of its bytes, cached under size and mtime: 4,096 bytes at 17689…
    s3://bucket/part-01.jsonl    sha256 of its bytes, cached under the ETag of the object store

A file that was touched but not changed is read once more and keeps its version. A local file that was written less than
`SETTLED_S` ago is not cached: within one tick of the clock it could change without a new mtime (git calls such index
entries "racy").

If one file cannot be read, the other files still get their versions.
"""

import json
import math
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import fsspec

from distill_dagster.errors import DataError
from distill_dagster.sources.files.discovery import SourceFile, content_hash, require_key
from distill_dagster.sources.files.opening import refuse_dangling, said
from distill_dagster.store.disk import write_text

SETTLED_S = 2.0
_lock = threading.Lock()


class UnreadableError(DataError):
    """A source file cannot be read, so its version is unknown."""


class SourceVersions:
    """The versions, cached in a file; if that file cannot be written, they are computed each time."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, dict[str, Any]] | None = None  # what the file held when it was last read

    def of(self, sources: list[SourceFile]) -> dict[str, str]:
        """Key -> version of each file.

        Raises:
            UnreadableError: a file cannot be read.
        """
        versions, unreadable = self.readable(sources)
        for error in unreadable.values():
            raise error
        return versions

    def readable(
        self, sources: list[SourceFile], seconds: float = math.inf
    ) -> tuple[dict[str, str], dict[str, UnreadableError]]:
        """Key -> version of each readable file, and key -> error of each other file.

        New and changed files are hashed until that has taken `seconds`, but at least one; those that are left are in
        neither. Their order is random, so that one that changes all the time does not keep the others waiting.
        """
        now, unreadable, hashing = dict[str, dict[str, Any]](), dict[str, UnreadableError](), 0.0
        with _lock:
            known = self._known = self._read() if self._known is None else self._known
            for source in sources if math.isinf(seconds) else random.sample(sources, len(sources)):
                try:
                    stamp = _stamp_of(source)
                    before = known.get(source.url)
                    if before is not None and stamp is not None and before["stamp"] == stamp:
                        now[source.url] = before
                    elif not hashing or hashing < seconds:
                        started = time.monotonic()
                        now[source.url] = {"stamp": stamp, "version": content_hash(source)}
                        hashing += time.monotonic() - started
                except DataError as e:
                    unreadable[source.key] = UnreadableError(str(e))
            remembered = {url: entry for url, entry in now.items() if entry["stamp"] is not None}
            if any(known.get(url) != entry for url, entry in remembered.items()):
                self._known = self._read() | remembered  # another process may have written meanwhile
                self._write(self._known)
        return {source.key: now[source.url]["version"] for source in sources if source.url in now}, unreadable

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self._memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def _write(self, entries: dict[str, Any]) -> None:
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._memory, json.dumps(entries, allow_nan=False) + "\n")
        except OSError:
            return  # a read-only store only costs time


def _stamp_of(source: SourceFile) -> list[Any] | None:
    require_key(source)
    return _stamp(source.url)


def _stamp(url: str) -> list[Any] | None:
    """A value that changes with the file and is cheap to get; None if no such value is reliable."""
    if "://" not in url:
        return _local_stamp(Path(url))
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        filesystem.invalidate_cache(path.rpartition("/")[0])
        info = filesystem.info(path)
    except Exception as e:  # of the store
        raise DataError(f"{url} cannot be inspected ({said(e)}); does it exist, and may this user read it?") from e
    tag = info.get("ETag") or info.get("etag")
    return ["etag", tag] if tag else None


def _local_stamp(path: Path) -> list[Any] | None:
    """Sizes and times of the file, or of a saved dataset's files."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        stats = [os.stat(file) for file in files]
    except OSError as e:
        refuse_dangling(str(e.filename))
        raise DataError(f"{e.filename} cannot be inspected ({e.strerror}); does it still exist?") from e
    if any(time.time() - stat.st_mtime < SETTLED_S for stat in stats):
        return None
    return [value for stat in stats for value in (stat.st_size, stat.st_mtime_ns, stat.st_ino)]
