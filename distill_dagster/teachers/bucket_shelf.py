"""The files of the replies in a bucket. Every object is written once, so a local copy of it never grows old.

    responses/journals/train-part-00/17689….jsonl     the replies of one flush of a shard that is being generated
    responses/segments/17689….parquet                 the replies of finished shards

A journal is flushed about four times a second, one object each. A process that is killed leaves what it had not sent in
`unsent/` of the local folder: the next one that opens the journal on this machine sends it. Another machine finds the
replies of all objects, and asks again for those that the dead process had received since its last flush.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from distill_dagster.errors import DataError
from distill_dagster.store.backend import require_same
from distill_dagster.store.disk import file_sha256
from distill_dagster.store.objects.bucket import Bucket
from distill_dagster.store.objects.copies import fetch, in_threads, sha256_of
from distill_dagster.store.objects.lease import Lease, leased
from distill_dagster.teachers.journal import Journal, ReplyLog
from distill_dagster.teachers.shelf import delete_hidden, new_name

LISTED_SECONDS = 2.0  # for which a listing counts: replies are looked up one request at a time, too
FORGOTTEN_SECONDS = 3600.0  # for which a copy of what was merged or sealed is kept for those who read it
FLUSH_SECONDS = 0.25
OPEN = "open.jsonl"  # the lines since the last flush


@dataclass(slots=True)
class BucketShelf:
    """The objects below `prefix`, with copies in `mirror` and unsent lines in `unsent_folder`."""

    bucket: Bucket
    prefix: str
    mirror: Path
    unsent_folder: Path
    _listed: list[Path] = field(default_factory=list)  # copies, fetched or not
    _listed_at: float = -LISTED_SECONDS
    _gone: dict[Path, float] = field(default_factory=dict)  # copies of what is in the bucket no more, since when

    def segments(self) -> list[Path]:
        """Copies of all segments."""
        return [path for path in self._copies() if path.suffix == ".parquet"]

    def journals(self) -> list[Path]:
        """Copies of all flushes."""
        return [path for path in self._copies() if path.suffix == ".jsonl"]

    def lines_of(self, name: str) -> list[Path]:
        """Copies of the flushes of one journal."""
        self._listed_at = -LISTED_SECONDS
        return [path for path in self.journals() if path.parent.name == name]

    def _copies(self) -> list[Path]:
        """Fetch what is new; returns the copies of all objects, sorted."""
        if time.monotonic() - self._listed_at > LISTED_SECONDS:
            self._list()
        while not all(in_threads(self._fetch, [path for path in self._listed if not path.is_file()])):
            self._list()  # one was merged or sealed since the last listing
        return self._listed

    def _list(self) -> None:
        """List the objects, and delete copies of what is gone for so long that no process reads them any more."""
        listed = [entry.path for entry in self.bucket.list(self.prefix)]
        self._listed = [self._copy(path) for path in listed if path.endswith((".parquet", ".jsonl"))]
        self._listed_at, present = time.monotonic(), set(self._listed)
        gone = {path for path in self.mirror.rglob("*.*") if path not in present and path.is_file()}
        self._gone = {path: self._gone.get(path, self._listed_at) for path in gone}
        for path, since in self._gone.items():
            if self._listed_at - since > FORGOTTEN_SECONDS:
                path.unlink(missing_ok=True)  # another process may have just deleted it

    def _fetch(self, copy: Path) -> bool:
        """Copy an object; False if there is none."""
        return fetch(self.bucket, self._path(copy), copy) is not None

    def _copy(self, path: str) -> Path:
        return self.mirror / path.removeprefix(f"{self.prefix}/")

    def _path(self, copy: Path) -> str:
        return f"{self.prefix}/{copy.relative_to(self.mirror).as_posix()}"

    def _send(self, file: Path, copy: Path) -> None:
        """Send a file, and make it the copy of its object."""
        self.bucket.put_file(self._path(copy), file)
        copy.parent.mkdir(parents=True, exist_ok=True)
        file.replace(copy)
        self._listed_at = -LISTED_SECONDS

    @contextlib.contextmanager
    def new_segment(self, name: str | None = None) -> Iterator[Path]:
        """A local file, which is sent at the end."""
        name = name or new_name()
        scratch = self.mirror / "segments" / f".{name}"
        scratch.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield scratch
            self._send(scratch, scratch.with_name(f"{name}.parquet"))
        except OSError as e:
            raise DataError(f"{scratch.parent} cannot be written ({e.strerror}); make room and run again") from e
        finally:
            scratch.unlink(missing_ok=True)

    def adopt(self, file: Path, journal: str | None = None) -> bool:
        """Send the file, lines under the name of their hash, and read it back."""
        name, sha = file.name, file_sha256(file)
        path = f"{self.prefix}/segments/{name}" if journal is None else f"{self.prefix}/journals/{journal}/{sha}.jsonl"
        if sha256_of(self.bucket, path) == sha:
            return False
        self.bucket.put_file(path, file)
        require_same({"": sha256_of(self.bucket, path) or ""}, {"": sha}, f"{self.bucket.url}/{path}")
        return True

    def drop_segments(self, paths: Iterable[Path]) -> None:
        """Delete the objects; their copies go with the next listing."""
        self.bucket.delete(map(self._path, paths))
        self._listed_at = -LISTED_SECONDS

    @contextlib.contextmanager
    def merging(self) -> Iterator[None]:
        """Hold the lease of those who merge. What the one before merged is listed afresh."""
        with leased(self.bucket, f"{self.prefix}/merge"):
            self._listed_at = -LISTED_SECONDS
            yield

    @contextlib.contextmanager
    def journal(self, name: str) -> Iterator[ReplyLog]:
        """Send what a killed process left on this machine, then take lines; a thread sends them."""
        folder = self.unsent_folder / name
        folder.mkdir(parents=True, exist_ok=True)
        with leased(self.bucket, f"{self.prefix}/journals/{name}") as lease, FileLock(folder / ".lock"):
            for left in sorted(folder.glob("*.jsonl")):
                if left.name == OPEN:
                    Journal(left).close()  # cuts a torn line off
                    left = left.rename(folder / f"{new_name()}.jsonl")
                self._send_lines(left, name)
            log = FlushedLog(folder, lambda file: self._send_lines(file, name), lease)
            try:
                yield log
            finally:
                log.close()

    def _send_lines(self, file: Path, name: str) -> None:
        if file.stat().st_size:
            self._send(file, self.mirror / "journals" / name / file.name)
        else:
            file.unlink()

    def tidy(self) -> None:
        """Delete the hidden files of this machine that are older."""
        delete_hidden(self.mirror / "segments")

    def unsent(self) -> list[Path]:
        """What a killed process has left, and what a live one has not sent yet."""
        return sorted(self.unsent_folder.glob("*/*.jsonl"))

    def name_of(self, path: Path) -> str:
        """That of the folder."""
        return path.parent.name

    def drop_lines(self, paths: Iterable[Path]) -> None:
        """Delete the objects of these flushes: others may have come meanwhile."""
        self.bucket.delete(map(self._path, paths))
        self._listed_at = -LISTED_SECONDS


class FlushedLog:
    """An open journal: lines go to a local file at once, and a thread sends the file and begins another one."""

    def __init__(self, folder: Path, send: Callable[[Path], None], lease: Lease) -> None:
        self._folder, self._send, self._lease = folder, send, lease
        self._journal, self._lines = Journal(folder / OPEN), 0
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._ended, self._error = threading.Event(), None
        self._thread = threading.Thread(target=self._run, name=f"flushes of {folder.name}", daemon=True)
        self._thread.start()

    def append(self, entry: dict[str, Any]) -> None:
        """Write one reply.

        Raises:
            DataError: the disk is full, an earlier flush could not be sent, or another process took the journal over
                and asks for the same replies now.
        """
        if self._error is not None:
            raise self._error
        if self._lease.is_lost:
            raise DataError(
                f"the lease of the journal {self._folder.name} was not renewed in time, and another process has taken "
                "it over; the replies so far are kept: let that process end"
            )
        with self._lock:
            self._journal.append(entry)
            self._lines += 1

    def _run(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            try:
                self._flush()
            except DataError as e:
                self._error = e
                return
            except OSError as e:
                self._error = DataError(f"{self._folder} cannot be written ({e.strerror}); make room and run again")
                return

    def sync(self) -> None:
        """Send the lines so far.

        Raises:
            DataError: they cannot be sent; they stay in the local folder, and the next run sends them.
        """
        self._flush()
        if self._error is not None:
            raise self._error

    def _flush(self) -> None:
        with self._sending:
            with self._lock:
                if not self._lines:
                    return
                self._journal.close()
                full = self._journal.path.rename(self._folder / f"{new_name()}.jsonl")
                self._journal, self._lines = Journal(self._folder / OPEN), 0
            self._send(full)

    def close(self) -> None:
        """Send the last lines; DataError as `sync`."""
        self._ended.set()
        self._thread.join()
        try:
            self.sync()
        finally:
            self._journal.close()
