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
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from distill_dagster.errors import DataError, NotPublishedError, UserError
from distill_dagster.store.disk import fsync, room_for, settle, write_text
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.result import Result

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MANIFEST = "manifest.json"


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
        make: Callable[[Path, Path], Result],
    ) -> Manifest:
        """Let `make(out, work)` fill the scratch folder `out`, then publish it as the artefact's current version.

        `work` may hold what lets a killed `make` resume; it is kept for this fingerprint alone, until published.
        One writer an artefact at a time; a second one waits, and finds the first one's work done.
        What is there already of this fingerprint is made again where it is not complete.

        Raises:
            DataError: the disk is full, or the store cannot be written; what was published before still is.
        """
        with room_for(self.root), self._writing(asset, shard) as folder:
            done = self.find(asset, shard)
            if done is not None and done.is_made_from(fingerprint):
                return done
            scratch = folder / f".scratch-{uuid.uuid4().hex[:8]}"
            scratch.mkdir()
            produced = make(scratch, folder / "work" / fingerprint[:12])
            counts, facts = produced.parts()
            files = settle(scratch)
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
                data_version=produced.data_version,
                counts=counts,
                facts=facts,
                complete=produced.complete,
            )
            body = {k: v for k, v in asdict(manifest).items() if k != "folder"}
            write_text(folder / MANIFEST, json.dumps(body, indent=1, ensure_ascii=False) + "\n")
            self._sweep(folder, keep={version, done.version if done else version})
            return manifest

    def shards(self, asset: str) -> list[str]:
        """Keys of the shards that have a folder, published or not."""
        folder = self.folder(asset)
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def remove(self, asset: str, shard: str) -> bool:
        """Delete a shard's folder with all its versions; False where somebody is writing it just now."""
        folder = self.folder(asset, shard)
        try:
            with FileLock(folder / ".lock", timeout=0):
                shutil.rmtree(folder)
        except Timeout:
            return False
        return True

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
