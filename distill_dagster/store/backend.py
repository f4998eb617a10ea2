"""The place in which a store keeps its artefacts: the operations it has to offer, and the one on a local disk.

`Store` holds the rules: what a fingerprint means, that an artefact has one writer, which versions are kept. A backend
knows nothing of them. It reads and replaces manifests, adds and removes folders of files, and locks. The one of a
bucket is in objects/backend.py.

A key names an artefact: `teacher_outputs/train-part-00`, or `eval_report` for an asset without shards.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from distill_dagster.errors import DataError
from distill_dagster.store.disk import file_sha256, fsync, room_for, settle, write_text
from distill_dagster.store.manifest import FilesAt

VERSIONS, WORK, SCRATCH, LOCK = "versions", "work", ".scratch-", ".lock"


MANIFEST = "manifest.json"
PREVIOUS = "previous.json"


class ReplacedError(Exception):
    """Somebody else made another version current since the manifest was read."""


class Backend(Protocol):
    """What a store needs of the place in which its artefacts are."""

    def uri(self, key: str, version: str | None = None) -> str:
        """The folder, or the URL, of an artefact or of one version, for people."""
        ...

    def read(self, key: str, name: str) -> str | None:
        """The text of the artefact's `MANIFEST` or `PREVIOUS`; None where it does not exist."""
        ...

    def read_all(self, asset: str) -> dict[str, str] | None:
        """Shard -> manifest of all published shards, where one look at all costs less than many at one; else None."""
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

    def adopt(self, key: str, version: str, folder: Path, files: Mapping[str, str]) -> None:
        """Add a version that another store published, from the local `folder`, and check every file where it arrived.

        Raises:
            DataError: a file does not have its SHA-256 in `files`.
        """
        ...

    def make_current(self, key: str, manifest: str, replaced: str | None) -> None:
        """Write the manifest durably, and keep the one that it replaces. A reader sees the old or the new text.

        Raises:
            ReplacedError: the current manifest is not `replaced`; nothing was written.
        """
        ...

    def files_at(self, key: str, version: str, files: Mapping[str, str]) -> FilesAt:
        """Where a version's files can be read; `files` is path inside its folder -> SHA-256."""
        ...

    def folder(self, key: str) -> Path:
        """The local folder of an artefact, existing or not."""
        ...

    def holds(self, key: str, version: str, files: Iterable[str]) -> bool:
        """Whether all these files of a version exist, as far as a quick look shows."""
        ...

    def delete_versions(self, key: str, keep: set[str]) -> None:
        """Remove every version but those in `keep` that nobody can be reading, and the resumable state."""
        ...

    def forget(self, key: str) -> None:
        """Delete the local copies of an artefact in a bucket; nothing else."""
        ...

    def published(self) -> list[str]:
        """The keys of all published artefacts, sorted."""
        ...

    def shards(self, asset: str) -> list[str]:
        """Names of the asset's shards that were written, published or not, sorted."""
        ...

    def remove(self, key: str) -> bool:
        """Delete an artefact with all its versions; False, and nothing deleted, while somebody writes it."""
        ...


def require_same(found: Mapping[str, str], published: Mapping[str, str], where: str) -> None:
    """Raise a DataError if a file, path -> SHA-256, is not the one that was published."""
    if wrong := [name for name, sha in published.items() if found.get(name) != sha]:
        raise DataError(
            f"{where}/{wrong[0]} has the SHA-256 {found.get(wrong[0], 'none')[:12]}…, and "
            f"{published[wrong[0]][:12]}… was published: restore it from a backup, or materialize its artefact again"
        )


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A version on a local disk."""

    path: str

    @property
    def uri(self) -> str:
        """The folder's path."""
        return self.path

    @property
    def folder(self) -> Path:
        """The folder."""
        return Path(self.path)

    def local(self, names: Iterable[str]) -> Path:
        """The folder: all files are there."""
        return Path(self.path)


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """Artefacts on a local disk, below `root`, in the layout that artefacts.py shows.

    `read` and `holds` build paths as text: one `status` calls them for every shard of the project.
    """

    root: Path

    def uri(self, key: str, version: str | None = None) -> str:
        """The folder of an artefact, or of one of its versions."""
        return f"{self.root}/{key}/{VERSIONS}/{version}" if version else f"{self.root}/{key}"

    def files_at(self, key: str, version: str, files: Mapping[str, str]) -> FilesAt:
        """The version's folder."""
        return LocalFiles(self.uri(key, version))

    def folder(self, key: str) -> Path:
        """The folder of an artefact."""
        return self.root / key

    def read(self, key: str, name: str) -> str | None:
        """The document's text, or None."""
        try:
            with open(f"{self.root}/{key}/{name}", encoding="utf-8") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnicodeDecodeError as e:
            raise DataError(
                f"{self.root}/{key}/{name} is damaged ({e}): restore it from a backup, or delete {self.root}/{key} and "
                f"materialize {key.partition('/')[0]} again"
            ) from None

    def read_all(self, asset: str) -> dict[str, str] | None:
        """None: a file is read as fast alone as among others."""
        return None

    def make_current(self, key: str, manifest: str, replaced: str | None) -> None:
        """Write `previous.json`, then `manifest.json`; the lock keeps other writers away."""
        if replaced is not None:
            before = json.loads(replaced, parse_constant=lambda _: None)  # an older version wrote NaN for None
            self.replace(key, PREVIOUS, json.dumps(before, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        self.replace(key, MANIFEST, manifest)

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

    def adopt(self, key: str, version: str, folder: Path, files: Mapping[str, str]) -> None:
        """Copy the files into a scratch folder, and make that the version, unless it is there whole."""
        there = self.folder(key) / VERSIONS / version
        if all((there / name).is_file() and file_sha256(there / name) == sha for name, sha in files.items()):
            return
        scratch = self.scratch(key)
        for name in files:
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, scratch / name)
        require_same(settle(scratch), files, str(folder))
        shutil.rmtree(there, ignore_errors=True)
        there.parent.mkdir(exist_ok=True)
        scratch.rename(there)
        fsync(there.parent)

    def forget(self, key: str) -> None:
        """Nothing: there are no copies."""

    def published(self) -> list[str]:
        """The folders that hold a manifest, one level deep or two."""
        found = [*self.root.glob(f"[!.]*/{MANIFEST}"), *self.root.glob(f"[!.]*/[!.]*/{MANIFEST}")]
        return sorted(path.parent.relative_to(self.root).as_posix() for path in found)

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
