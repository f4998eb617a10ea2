"""The files of the replies: where they are. `Responses` has the rules.

    segments   parquet files of replies; one never changes, and each has a name of its own
    journals   the replies of the shards that are being generated, as lines of JSON

Both are read by local paths. The shelf of a store in a bucket is in bucket_shelf.py.
"""

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from distill_dagster.errors import DataError
from distill_dagster.store.backend import require_same
from distill_dagster.store.disk import file_sha256, fsync
from distill_dagster.teachers.journal import ReplyLog, open_journal, read_journal

LEFT_SECONDS = 86_400.0


class Shelf(Protocol):
    """What `Responses` needs of it."""

    def segments(self) -> list[Path]:
        """Local paths of all segments, sorted by name, which is by age."""
        ...

    def new_segment(self, name: str | None = None) -> AbstractContextManager[Path]:
        """A path to write to; it becomes a segment, of a new name if none is given, if the block ends without error.

        Raises:
            DataError: the place is full or cannot be written.
        """
        ...

    def adopt(self, file: Path, journal: str | None = None) -> bool:
        """Add a segment of another shelf under its own name, or lines of a journal; False if they were there."""
        ...

    def drop_segments(self, paths: Iterable[Path]) -> None:
        """Delete segments, as far as they exist."""
        ...

    def merging(self) -> AbstractContextManager[None]:
        """Hold the lock of those who merge segments."""
        ...

    def journals(self) -> list[Path]:
        """Local paths of the files of all journals."""
        ...

    def journal(self, name: str) -> AbstractContextManager[ReplyLog]:
        """A journal, for this process alone; another process that opens it waits."""
        ...

    def lines_of(self, name: str) -> list[Path]:
        """Local paths of the files of one journal."""
        ...

    def name_of(self, path: Path) -> str:
        """The name of the journal that a file is of."""
        ...

    def drop_lines(self, paths: Iterable[Path]) -> None:
        """Delete these files of a journal."""
        ...

    def tidy(self) -> None:
        """Delete what killed processes left of the segments that they wrote, a day later."""
        ...

    def unsent(self) -> list[Path]:
        """Files with lines of journals that are on this machine alone; their folders have the journals' names."""
        ...


def new_name() -> str:
    """The name of a new segment."""
    return f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"


def delete_hidden(folder: Path) -> None:
    """Delete the hidden files of a folder to which nobody has written for a day."""
    for path in folder.glob(".*"):
        with contextlib.suppress(FileNotFoundError):  # its writer has renamed it
            if time.time() - path.stat().st_mtime > LEFT_SECONDS:
                path.unlink()


def _identity(line: dict[str, Any]) -> tuple[str, str]:
    """What tells two replies apart."""
    return line["request_hash"], line["created_at"]


@dataclass(frozen=True, slots=True)
class LocalShelf:
    """Files in a local folder, which need not exist."""

    root: Path

    def segments(self) -> list[Path]:
        """The files in `segments/`."""
        return sorted((self.root / "segments").glob("[!.]*.parquet"))

    @contextlib.contextmanager
    def new_segment(self, name: str | None = None) -> Iterator[Path]:
        """A hidden file, which is renamed at the end."""
        folder, name = self.root / "segments", name or new_name()
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / f".{name}"
        try:
            yield scratch
            fsync(scratch)
            scratch.rename(folder / f"{name}.parquet")
            fsync(folder)
        except OSError as e:
            raise DataError(f"{folder} cannot be written ({e.strerror}); make room and run again") from e
        finally:
            scratch.unlink(missing_ok=True)

    def adopt(self, file: Path, journal: str | None = None) -> bool:
        """Copy the file, or append those of its lines that the journal lacks."""
        if journal is not None:
            return self._append_lines(file, journal)
        target = self.root / "segments" / file.name
        if target.is_file() and file_sha256(target) == file_sha256(file):
            return False
        with self.new_segment(file.stem) as scratch:
            shutil.copyfile(file, scratch)
        require_same({"": file_sha256(target)}, {"": file_sha256(file)}, str(target))
        return True

    def _append_lines(self, file: Path, journal: str) -> bool:
        with self.journal(journal) as log:
            there = {_identity(line) for line in read_journal(self._path(journal))}
            new = [line for line in read_journal(file) if _identity(line) not in there]
            for line in new:
                log.append(line)
        return bool(new)

    def drop_segments(self, paths: Iterable[Path]) -> None:
        """Delete the files."""
        for path in paths:
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def merging(self) -> Iterator[None]:
        """Hold a lock that the kernel releases when its process dies."""
        with FileLock(self.root / "merge.lock"):
            yield

    def journals(self) -> list[Path]:
        """One file for each unfinished shard."""
        return sorted((self.root / "journals").glob("*.jsonl"))

    @contextlib.contextmanager
    def journal(self, name: str) -> Iterator[ReplyLog]:
        """The journal's file, open for appending."""
        with open_journal(self._path(name)) as journal:
            yield journal

    def lines_of(self, name: str) -> list[Path]:
        """The journal's file."""
        return [self._path(name)]

    def name_of(self, path: Path) -> str:
        """That of the file."""
        return path.stem

    def drop_lines(self, paths: Iterable[Path]) -> None:
        """Delete the journal's file."""
        for path in paths:
            path.unlink()

    def tidy(self) -> None:
        """Delete the hidden files that are older."""
        delete_hidden(self.root / "segments")

    def unsent(self) -> list[Path]:
        """None: a line is in its journal at once."""
        return []

    def _path(self, name: str) -> Path:
        return self.root / "journals" / f"{name}.jsonl"
