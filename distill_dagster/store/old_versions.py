"""The versions of a store that are not current, and how one of them is deleted.

    raw_dataset/train-part-00    3f2a…-9c01    current
                                 77b0…-1d44    the version before, replaced at 12:00
                                 9d02…-5e1a    named by no manifest: a process was killed while it wrote or deleted it

What may go is decided in clearing/. Here it is deleted so that a process that is killed in between leaves an artefact
with its current version whole, and at most files that no manifest names. Those of a store in a bucket are in
objects/old_versions.py.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from distill_dagster.errors import DataError
from distill_dagster.store.backend import LOCK, MANIFEST, PREVIOUS, SCRATCH, VERSIONS, LocalBackend
from distill_dagster.store.disk import fsync
from distill_dagster.store.manifest import require_manifest


@dataclass(frozen=True, slots=True)
class NamedVersion:
    """A version that a manifest names, by what the manifest says of it."""

    key: str  # of the artefact: teacher_outputs/train-part-00
    version: str
    data_version: str
    inputs: Mapping[str, Any] = field(compare=False, repr=False)
    files: Mapping[str, str] = field(compare=False, repr=False)  # path inside the folder -> SHA-256
    replaced_at: datetime | None  # None: it is current

    @property
    def asset(self) -> str:
        """The asset."""
        return self.key.partition("/")[0]

    @property
    def shard(self) -> str | None:
        """The shard, if it has one."""
        return self.key.partition("/")[2] or None


@dataclass(frozen=True, slots=True)
class Unnamed:
    """Files of an artefact that no manifest names."""

    key: str
    place: str  # a folder of the artefact, or the path of an object
    size: int
    since: datetime


class OldVersions(Protocol):
    """What clearing a store needs of the place in which it is."""

    def named(self) -> list[NamedVersion]:
        """Every version that a manifest names, the current ones included; DataError if a manifest is damaged."""
        ...

    def unnamed(self) -> list[Unnamed]:
        """What no manifest names and nobody can be reading any more."""
        ...

    def written_now(self) -> set[str]:
        """The keys of the artefacts that somebody is making."""
        ...

    def size(self, version: NamedVersion) -> int:
        """Bytes that are free once a version is deleted."""
        ...

    def delete(self, version: NamedVersion) -> bool:
        """Delete a version before the current one. In a bucket, its files go a day later.

        False, and nothing deleted, if it is none by now, or somebody writes its artefact.
        """
        ...

    def delete_unnamed(self, found: Sequence[Unnamed]) -> list[Unnamed]:
        """Delete those that no manifest names by now and whose artefact nobody writes; returns them."""
        ...


def parsed(key: str, text: str | None, replaced_by: Mapping[str, Any] | None = None) -> NamedVersion | None:
    """The version that the text of a manifest names; None for no text.

    Raises:
        DataError: the text is no manifest.
    """
    if text is None:
        return None
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise _damaged(key, f"is not JSON ({e})") from None
    return of_manifest(key, raw, replaced_by)


def of_manifest(key: str, raw: Any, replaced_by: Mapping[str, Any] | None = None) -> NamedVersion:
    """The version that a manifest names; `replaced_by` is the manifest of the current one, if it is not that.

    Raises:
        DataError: it is no manifest.
    """
    try:
        require_manifest(raw)
        _created(raw)
        at = _created(replaced_by) if replaced_by else None
    except ValueError as e:
        raise _damaged(key, f"is damaged ({e})") from None
    return NamedVersion(key, raw["version"], raw["data_version"], raw["inputs"], raw["files"], at)


def _created(manifest: Mapping[str, Any]) -> datetime:
    at = datetime.fromisoformat(manifest["created_at"])
    if at.tzinfo is None:
        raise ValueError("created_at has no time zone")
    return at


def _damaged(key: str, how: str) -> DataError:
    return DataError(f"the manifest of {key} {how}: delete the artefact, and run again")


@dataclass(frozen=True, slots=True)
class LocalOldVersions:
    """Those of a store in a local folder."""

    root: Path

    def named(self) -> list[NamedVersion]:
        """Two small files of each artefact."""
        backend, found = LocalBackend(self.root), list[NamedVersion]()
        for key in backend.published():
            found += self._of(key)
        return found

    def _of(self, key: str) -> list[NamedVersion]:
        """The current version, and the one before. A killed writer leaves the current one's manifest as both."""
        backend = LocalBackend(self.root)
        text = backend.read(key, MANIFEST)
        current = parsed(key, text)
        if current is None or text is None:
            return []
        before = parsed(key, backend.read(key, PREVIOUS), json.loads(text))
        return [current, before] if before and before.version != current.version else [current]

    def unnamed(self) -> list[Unnamed]:
        """Folders of versions, and of writers that are not at work."""
        found, busy = list[Unnamed](), self.written_now()
        for folder in self._artefacts():
            key = folder.relative_to(self.root).as_posix()
            if key in busy:
                continue
            names = {version.version for version in self._of(key)}
            for place in _unnamed(folder, names):
                with contextlib.suppress(FileNotFoundError):  # a writer that has begun meanwhile has removed it
                    found.append(Unnamed(key, place.name, _size(place), _time_of(place)))
        busy = self.written_now() if found else set[str]()
        return [left for left in found if left.key not in busy]

    def _artefacts(self) -> list[Path]:
        """The folders in which somebody has written."""
        return sorted(path.parent for path in (*self.root.glob(f"[!.]*/{LOCK}"), *self.root.glob(f"[!.]*/*/{LOCK}")))

    def written_now(self) -> set[str]:
        """Those whose lock is held."""
        return {folder.relative_to(self.root).as_posix() for folder in self._artefacts() if _is_locked(folder / LOCK)}

    def size(self, version: NamedVersion) -> int:
        """The size of its files, without those that another version shares."""
        return _size(self.root / version.key / VERSIONS / version.version)

    def delete(self, version: NamedVersion) -> bool:
        """Delete `previous.json`, so that nothing names the version, and then its files."""
        folder = self.root / version.key
        with contextlib.suppress(Timeout), _alone(folder):
            if version not in self._of(version.key) or version.replaced_at is None:
                return False
            (folder / PREVIOUS).unlink()
            fsync(folder)
            shutil.rmtree(folder / VERSIONS / version.version, ignore_errors=True)
            return True
        return False

    def delete_unnamed(self, found: Sequence[Unnamed]) -> list[Unnamed]:
        """Delete the folders."""
        return [left for left in found if self._delete_unnamed(left)]

    def _delete_unnamed(self, found: Unnamed) -> bool:
        folder = self.root / found.key
        with contextlib.suppress(Timeout), _alone(folder):
            names = {version.version for version in self._of(found.key)}
            places = [place for place in _unnamed(folder, names) if place.name == found.place]
            for place in places:
                shutil.rmtree(place, ignore_errors=True)
            return bool(places)
        return False


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of an artefact; Timeout if somebody holds it."""
    with FileLock(folder / LOCK, timeout=0):
        yield


def _is_locked(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def _unnamed(folder: Path, names: set[str]) -> list[Path]:
    left = list[Path]()
    with contextlib.suppress(FileNotFoundError):  # the shard is removed meanwhile
        left += (path for path in (folder / VERSIONS).iterdir() if path.name not in names)
    with contextlib.suppress(FileNotFoundError):
        left += folder.glob(f"{SCRATCH}*")
    return left


def _size(folder: Path) -> int:
    """Bytes of the files that nothing else links to, as far as they are still there."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                state = os.stat(f"{parent}/{name}")
                size += state.st_size if state.st_nlink == 1 else 0
    return size


def _time_of(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
