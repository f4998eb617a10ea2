"""The place in which a store keeps its artefacts: the operations it has to offer, and the one on a local disk.

`Store` holds the rules: what a fingerprint means, that an artefact has one writer, which versions are kept. A backend
knows nothing of them. It reads and replaces small documents, adds and removes folders of files, and locks. Another
place, such as a bucket, is another class with these methods.

A key names an artefact: `teacher_outputs/train-part-00`, or `eval_report` for an asset without shards.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from distill_dagster.store.disk import fsync, room_for, settle, write_text

VERSIONS, WORK, SCRATCH, LOCK = "versions", "work", ".scratch-", ".lock"


class Backend(Protocol):
    """What a store needs of the place in which its artefacts are."""

    def read(self, key: str, name: str) -> str | None:
        """The text of one of the artefact's documents, such as its manifest; None where it does not exist."""
        ...

    def replace(self, key: str, name: str, text: str) -> None:
        """Write a document durably. A reader sees the old or the new text, never a part."""
        ...

    def writing(self, key: str) -> AbstractContextManager[None]:
        """Hold the artefact's lock; a second writer waits. At the end, remove the scratch folders that are left.

        Raises:
            DataError: the place is full or cannot be written.
        """
        ...

    def scratch(self, key: str) -> Path:
        """A new, empty local folder for the files of the next version."""
        ...

    def work(self, key: str, name: str) -> Path:
        """The local folder, existing or not, for what lets a killed writer resume; `delete_versions` removes it."""
        ...

    def add_version(self, key: str, version: str, scratch: Path) -> dict[str, str]:
        """Turn a scratch folder into a version, whole and durable; returns path inside the folder -> SHA-256."""
        ...

    def folder(self, key: str, version: str | None = None) -> Path:
        """The local folder of an artefact, or of one version: where its files can be read. It need not exist."""
        ...

    def holds(self, key: str, version: str, files: Iterable[str]) -> bool:
        """Whether all these files of a version exist."""
        ...

    def delete_versions(self, key: str, keep: set[str]) -> None:
        """Remove every version but those in `keep`, and the resumable state."""
        ...

    def shards(self, asset: str) -> list[str]:
        """Names of the asset's shards that have a folder, published or not, sorted."""
        ...

    def remove(self, key: str) -> bool:
        """Delete an artefact with all its versions; False, and nothing deleted, while somebody writes it."""
        ...


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """Artefacts on a local disk, below `root`, in the layout that artefacts.py shows.

    `read` and `holds` build paths as text: one `status` calls them for every shard of the project.
    """

    root: Path

    def folder(self, key: str, version: str | None = None) -> Path:
        """The folder of an artefact, or of one of its versions."""
        return Path(self.root, key, VERSIONS, version) if version else self.root / key

    def read(self, key: str, name: str) -> str | None:
        """The document's text, or None."""
        try:
            with open(f"{self.root}/{key}/{name}", encoding="utf-8") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace(self, key: str, name: str, text: str) -> None:
        """Write a new file beside the old one, fsync it, and rename it over the old one."""
        write_text(self.root / key / name, text)

    def holds(self, key: str, version: str, files: Iterable[str]) -> bool:
        """Whether all these files of a version exist."""
        return all(os.path.isfile(f"{self.root}/{key}/{VERSIONS}/{version}/{name}") for name in files)

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[None]:
        """Hold a lock that the kernel releases when its process dies; what dead writers left is removed at the end."""
        folder = self.folder(key)
        with room_for(self.root):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / LOCK):
                try:
                    with room_for(self.root):  # while the scratch folder still takes its room
                        yield
                finally:
                    for scratch in folder.glob(f"{SCRATCH}*"):
                        shutil.rmtree(scratch, ignore_errors=True)

    def scratch(self, key: str) -> Path:
        """A new folder on the disk of the versions, so that a rename publishes it."""
        scratch = self.folder(key) / f"{SCRATCH}{uuid.uuid4().hex[:8]}"
        scratch.mkdir()
        return scratch

    def work(self, key: str, name: str) -> Path:
        """The folder of resumable state."""
        return self.folder(key) / WORK / name

    def add_version(self, key: str, version: str, scratch: Path) -> dict[str, str]:
        """Fsync and hash every file, rename the folder into `versions/`, and fsync that."""
        files, versions = settle(scratch), self.folder(key) / VERSIONS
        versions.mkdir(exist_ok=True)
        scratch.rename(versions / version)
        fsync(versions)
        return files

    def delete_versions(self, key: str, keep: set[str]) -> None:
        """Remove every other version, and the resumable state."""
        for version in (self.folder(key) / VERSIONS).iterdir():
            if version.name not in keep:
                shutil.rmtree(version, ignore_errors=True)
        shutil.rmtree(self.folder(key) / WORK, ignore_errors=True)

    def shards(self, asset: str) -> list[str]:
        """Names of the folders below the asset's."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder(asset)) as found:
            return sorted(entry.name for entry in found if entry.is_dir())
        return []

    def remove(self, key: str) -> bool:
        """Delete the artefact's folder, unless its lock is held."""
        folder = self.folder(key)
        try:
            with FileLock(folder / LOCK, timeout=0):
                shutil.rmtree(folder)
        except Timeout:
            return False
        return True
