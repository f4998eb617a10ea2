"""Where artefacts live, and how one is published: complete or not at all.

    store/
      teacher_outputs/
        train-part-00/                    one artefact: an asset, or one shard of it
          manifest.json                   names the version that counts; replaced last, atomically
          versions/3f2a…-9c01/            the files, never changed once they are here
          versions/77b0…-1d44/            the one before, kept for readers that still hold it
          work/                           resumable state of an unfinished run (training checkpoints)

A publication writes into a scratch folder, fsyncs every file, renames the folder into `versions/`, and then
replaces the manifest. A reader that starts from the manifest therefore never sees half an artefact, and a
killed writer leaves only scratch that the next publication sweeps.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from distill_dagster.errors import DataError, NotPublishedError, UserError

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MANIFEST = "manifest.json"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a published artefact; `folder` is where its files are."""

    asset: str
    shard: str | None
    fingerprint: str  # of everything that went in: equal means there is nothing to do
    data_version: str  # of what came out: equal means that nothing downstream is stale
    inputs: dict[str, Any]  # what the fingerprint was made of
    counts: dict[str, int]
    facts: dict[str, Any]  # scores, usage, versions: what people read
    files: dict[str, str]  # path inside the folder -> sha256
    version: str
    created_at: str
    complete: bool = True
    folder: Path = field(default=Path(), compare=False)

    def is_made_from(self, fingerprint: str) -> bool:
        """Whether it was made from just these inputs, and there is nothing left to do."""
        return self.complete and self.fingerprint == fingerprint

    def file(self, name: str) -> Path:
        """Path of one of the artefact's files."""
        return self.folder / name


@dataclass(frozen=True, slots=True)
class Produced:
    """What the maker of an artefact says about it when its files are written."""

    data_version: str
    counts: dict[str, int]
    facts: dict[str, Any]
    complete: bool = True  # False: usable, and to be made again by the next run, such as after requests that failed


def check_key(key: str) -> str:
    """`key` if it may name a folder.

    Raises:
        UserError: it is empty, too long, or holds anything but letters, digits, `_`, `.` and `-`.
    """
    if not KEY.fullmatch(key) or ".." in key:
        raise UserError(
            f"shard name {key!r} cannot be a key: use letters, digits, '_', '.', '-', at most 100; rename the file"
        )
    return key


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Force a file, or a folder's entries, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Replace a file by `text`: a reader sees the old or the new content, never a part."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_text(text, encoding="utf-8")
        fsync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync(path.parent)


@contextlib.contextmanager
def _room_for(root: Path) -> Iterator[None]:
    """Name the store where it is full or cannot be written; every other error passes."""
    try:
        yield
    except OSError as e:
        if e.errno in FULL:
            raise DataError(
                f"the store {root} is full ({e}): make room and run again; nothing is half published"
            ) from e
        if e.errno in CLOSED and (e.filename is None or Path(os.fsdecode(e.filename)).is_relative_to(root)):
            raise DataError(f"the store {root} cannot be written ({e}): choose another `store:`") from e
        raise


def _settle(folder: Path) -> dict[str, str]:
    """Give every file of `folder` the umask's mode, fsync it, and return path -> sha256."""
    umask = os.umask(0)
    os.umask(umask)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    for path in files:
        path.chmod(0o666 & ~umask)  # safetensors writes 0600
        fsync(path)
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        fsync(path)
    return {str(p.relative_to(folder)): file_sha256(p) for p in files}


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of all artefacts of a project.

    Example:
        >>> store = Store(Path("store"))
        >>> def make(out: Path, work: Path) -> Produced:
        ...     (out / "rows.txt").write_text("a")
        ...     return Produced(data_version="v1", counts={"rows": 1}, facts={})
        >>> store.publish("raw_dataset", "train-part-00", fingerprint="f1", inputs={}, make=make).counts
        {'rows': 1}
    """

    root: Path

    def folder(self, asset: str, shard: str | None = None) -> Path:
        """The folder of an artefact, existing or not."""
        base = self.root / check_key(asset)
        return base / check_key(shard) if shard is not None else base

    def find(self, asset: str, shard: str | None = None) -> Manifest | None:
        """The manifest of a published artefact, or None. An artefact with a missing file does not count."""
        folder = self.folder(asset, shard)
        try:
            raw = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as e:
            raise DataError(
                f"{folder / MANIFEST} is no JSON ({e}); delete {folder} and materialize {asset} again"
            ) from e
        manifest = Manifest(**raw, folder=folder / "versions" / raw["version"])
        return manifest if all(manifest.file(name).is_file() for name in manifest.files) else None

    def get(self, asset: str, shard: str | None = None) -> Manifest:
        """The manifest of a published artefact.

        Raises:
            NotPublishedError: there is none.
        """
        manifest = self.find(asset, shard)
        if manifest is None:
            name = f"{asset}[{shard}]" if shard is not None else asset
            raise NotPublishedError(f"{name} is not in {self.root} yet: materialize it first")
        return manifest

    def publish(
        self,
        asset: str,
        shard: str | None,
        *,
        fingerprint: str,
        inputs: dict[str, Any],
        make: Callable[[Path, Path], Produced],
    ) -> Manifest:
        """Let `make(out, work)` fill the scratch folder `out`, then publish it as the artefact's current version.

        `work` may hold what lets a killed `make` resume; it is kept for this fingerprint alone, until published.
        One writer an artefact at a time; a second one waits, and finds the first one's work done.
        What is there already of this fingerprint is made again where it is not complete.

        Raises:
            DataError: the disk is full, or the store cannot be written; what was published before still is.
        """
        with _room_for(self.root), self._writing(asset, shard) as folder:
            done = self.find(asset, shard)
            if done is not None and done.is_made_from(fingerprint):
                return done
            scratch = folder / f".scratch-{uuid.uuid4().hex[:8]}"
            scratch.mkdir()
            produced = make(scratch, folder / "work" / fingerprint[:12])
            files = _settle(scratch)
            version = f"{fingerprint[:12]}-{uuid.uuid4().hex[:4]}"
            (folder / "versions").mkdir(exist_ok=True)
            scratch.rename(folder / "versions" / version)
            fsync(folder / "versions")
            manifest = Manifest(
                asset=asset,
                shard=shard,
                fingerprint=fingerprint,
                inputs=inputs,
                files=files,
                version=version,
                created_at=datetime.now(UTC).isoformat(timespec="seconds"),
                folder=folder / "versions" / version,
                **asdict(produced),
            )
            body = {k: v for k, v in asdict(manifest).items() if k != "folder"}
            write_text(folder / MANIFEST, json.dumps(body, indent=1, ensure_ascii=False) + "\n")
            self._sweep(folder, keep={version, done.version if done else version})
            return manifest

    @contextlib.contextmanager
    def _writing(self, asset: str, shard: str | None) -> Iterator[Path]:
        """Hold the artefact's lock; scratch of writers that died is swept on entry, one's own on exit."""
        folder = self.folder(asset, shard)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            try:
                yield folder
            finally:
                for scratch in folder.glob(".scratch-*"):
                    shutil.rmtree(scratch, ignore_errors=True)

    def _sweep(self, folder: Path, keep: set[str]) -> None:
        """Remove versions that nobody can reach any more, and the finished run's resumable state."""
        for old in (folder / "versions").iterdir():
            if old.name not in keep:
                shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(folder / "work", ignore_errors=True)
