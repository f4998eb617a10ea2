"""Small texts of a project that are replaced as a whole, such as the record of the alerts that were sent.

    documents = LocalDocuments(Path("store/responses/batches"))
    with documents.locked("budget"):
        documents.write("5c1f….json", text)

Those of a store in a bucket are in objects/documents.py.
"""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from distill_dagster.store.disk import room_for, write_text


class LockedError(Exception):
    """Another process holds the lock."""


class Documents(Protocol):
    """One folder of them."""

    def uri(self, name: str) -> str:
        """Where a document is, for people."""
        ...

    def read(self, name: str) -> str | None:
        """A document's text; None where there is none."""
        ...

    def write(self, name: str, text: str) -> None:
        """Replace a document durably: a reader sees the old or the new text; DataError if it cannot be written."""
        ...

    def names(self) -> list[str]:
        """All documents, sorted."""
        ...

    def remove(self, name: str) -> None:
        """Delete a document, if it exists."""
        ...

    def locked(self, name: str, *, wait: bool = True) -> AbstractContextManager[None]:
        """Hold a lock of this name; LockedError if it is held and `wait` is False."""
        ...


@dataclass(frozen=True, slots=True)
class LocalDocuments:
    """Files in a local folder, which need not exist."""

    folder: Path

    def uri(self, name: str) -> str:
        """The file's path."""
        return str(self.folder / name)

    def read(self, name: str) -> str | None:
        """The file's text, or None."""
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """Replace the file."""
        with room_for(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.folder / name, text)

    def names(self) -> list[str]:
        """The files but hidden ones and locks."""
        return sorted(path.name for path in self.folder.glob("[!.]*") if path.is_file() and path.suffix != ".lock")

    def remove(self, name: str) -> None:
        """Delete the file."""
        (self.folder / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Hold the lock of a file, which the kernel releases when its process dies."""
        lock = FileLock(self.folder / name, timeout=-1 if wait else 0)
        try:
            with room_for(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                lock.acquire()
        except Timeout:
            raise LockedError(name) from None
        try:
            yield
        finally:
            lock.release()
