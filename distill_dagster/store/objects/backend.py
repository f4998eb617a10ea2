"""The backend of a store in a bucket: manifests by conditional writes, files under keys of their own.

    s3://bucket/prefix/
      manifests/teacher_outputs/train-part-00.json          {"manifest": …, "previous": …, "retired": {version: time}}
      versions/teacher_outputs/train-part-00/3f2a…-9c01/    the files, written before the manifest and never changed
      locks/teacher_outputs/train-part-00.json              who writes it now (lease.py)
      removed/teacher_outputs/train-part-00.json            since when its manifest is gone: {version: time}
      responses/  state/                                    the replies that were paid for; small documents
      clock/                                                written to read the server's clock

A reader starts at the manifest, so it sees the old version or the new one, whole. A writer sends the files, and then
replaces the manifest on the condition that it is still the one that it read. `previous` is in the same object, so both
change at once. `retired` are the versions that no manifest names any more, with the time since when: a reader may still
be reading them, so sweep.py deletes them a day later.
"""

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from distill_dagster.store.backend import MANIFEST, SCRATCH, VERSIONS, WORK, ReplacedError, require_same
from distill_dagster.store.disk import room_for, settle, write_text
from distill_dagster.store.manifest import FilesAt
from distill_dagster.store.objects.bucket import Bucket, Listed, Stored, TakenError
from distill_dagster.store.objects.copies import CopiedFiles, in_threads, sha256_of
from distill_dagster.store.objects.lease import LEASE_SECONDS, HeldError, leased
from distill_dagster.store.objects.probe import require_conditional_writes
from distill_dagster.store.objects.sweep import (
    KEPT,
    MANIFESTS,
    forget_copies,
    key_of,
    manifest_path,
    note_removed,
    sweep,
)

MIRROR = "mirror"


class ObjectBackend:
    """Artefacts in a bucket, with copies in the folder `mirror` of a local folder."""

    def __init__(self, bucket: Bucket, local: Path, lease_seconds: float = LEASE_SECONDS) -> None:
        self.bucket, self.local, self._lease_seconds = bucket, local, lease_seconds
        self._mirror = local / MIRROR
        self._scratch: dict[str, list[Path]] = {}

    def uri(self, key: str, version: str | None = None) -> str:
        """The URL of a version, of an artefact's manifest, or for "" of the bucket."""
        if version:
            return f"{self.bucket.url}/{VERSIONS}/{key}/{version}"
        return f"{self.bucket.url}/{manifest_path(key)}" if key else self.bucket.url

    def read(self, key: str, name: str) -> str | None:
        """One of the two manifests in the artefact's object."""
        found = self.bucket.get(manifest_path(key))
        return None if found is None else _part(found.data, name)

    def read_all(self, asset: str) -> dict[str, str] | None:
        """One listing of the asset's manifests; those whose tag is that of the copy here are not fetched again."""
        listed = self.bucket.list(f"{MANIFESTS}/{asset}")
        texts = zip(listed, in_threads(self._copied, listed), strict=True)
        return {_shard_of(entry): text for entry, text in texts if text is not None}

    def _copied(self, entry: Listed) -> str | None:
        """The manifest of a listed object, from its copy if that has the same tag."""
        copy = self._mirror / entry.path
        with contextlib.suppress(OSError, ValueError, KeyError):
            kept = json.loads(copy.read_text(encoding="utf-8"))
            if entry.tag.e_tag is not None and kept["tag"] == entry.tag.e_tag:
                return kept["text"]
        found = self.bucket.get(entry.path)
        text = None if found is None else _part(found.data, MANIFEST)
        if found is not None and text is not None:
            with contextlib.suppress(OSError):  # a full or read-only disk: it is fetched again next time
                self._keep(copy, {"tag": found.tag.e_tag, "text": text})
        return text

    def _keep(self, copy: Path, document: dict[str, Any]) -> None:
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_text(copy, json.dumps(document, allow_nan=False), durable=False)

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[None]:
        """Hold the artefact's lease, in a bucket that can keep one; remove the block's scratch folders at its end."""
        require_conditional_writes(self.bucket)
        with room_for(self.local), leased(self.bucket, key, seconds=self._lease_seconds):
            self.folder(key).mkdir(parents=True, exist_ok=True)
            try:
                with room_for(self.local):
                    yield
            finally:
                for scratch in self._scratch.pop(key, []):
                    shutil.rmtree(scratch, ignore_errors=True)

    def scratch(self, key: str) -> Path:
        """A new folder beside the copies, so that a rename makes it one of them."""
        scratch = self.folder(key) / f"{SCRATCH}{uuid.uuid4().hex[:8]}"
        scratch.mkdir(parents=True)
        self._scratch.setdefault(key, []).append(scratch)
        return scratch

    def work(self, key: str, name: str) -> Path:
        """The folder of resumable state, on this machine alone."""
        return self.folder(key) / WORK / name

    def add_version(self, key: str, version: str, scratch: Path) -> dict[str, str]:
        """Hash and send every file, and keep the folder as the copy of the version."""
        files, prefix = settle(scratch), f"{VERSIONS}/{key}/{version}"
        in_threads(lambda name: self.bucket.put_file(f"{prefix}/{name}", scratch / name), files)
        copies = self.folder(key) / VERSIONS
        copies.mkdir(exist_ok=True)
        scratch.rename(copies / version)
        return files

    def adopt(self, key: str, version: str, folder: Path, files: Mapping[str, str]) -> None:
        """Send the files that are not there, and read all of them back."""
        prefix = f"{VERSIONS}/{key}/{version}"
        there = {entry.path for entry in self.bucket.list(prefix)}

        def arrived(name: str) -> str:
            path = f"{prefix}/{name}"
            if path not in there or sha256_of(self.bucket, path) != files[name]:
                self.bucket.put_file(path, folder / name)
            return sha256_of(self.bucket, path) or ""

        require_same(dict(zip(files, in_threads(arrived, files), strict=True)), files, self.uri(key, version))

    def forget(self, key: str) -> None:
        """Delete the folder of the artefact's copies."""
        shutil.rmtree(self.folder(key), ignore_errors=True)

    def published(self) -> list[str]:
        """The artefacts that have an object in `manifests/`."""
        return [key_of(entry.path) for entry in self.bucket.list(MANIFESTS)]

    def make_current(self, key: str, manifest: str, replaced: str | None) -> None:
        """Replace the artefact's object, if its manifest is still the replaced one."""
        path = manifest_path(key)
        found = self.bucket.get(path)
        before = json.loads(found.data) if found else None
        if (before and before["manifest"]) != (replaced and _loaded(replaced)):
            raise ReplacedError(key)
        document = {"manifest": _loaded(manifest), "previous": None, "retired": {}}
        if before:
            document |= {"previous": before["manifest"], "retired": self._retired(before)}
        try:
            self._write(path, document, found)
        except TakenError:
            raise ReplacedError(key) from None

    def _retired(self, before: dict[str, Any]) -> dict[str, str]:
        """The versions that nothing names once this state of the object is replaced, with the time since when."""
        now = self.bucket.now()
        recent = {v: when for v, when in before["retired"].items() if now - datetime.fromisoformat(when) < 2 * KEPT}
        return {before["previous"]["version"]: now.isoformat(), **recent} if before["previous"] else recent

    def _write(self, path: str, document: dict[str, Any], found: Stored | None) -> None:
        data = (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
        if found is None:
            self.bucket.create(path, data)
        else:
            self.bucket.replace(path, data, found.tag)

    def files_at(self, key: str, version: str, files: Mapping[str, str]) -> FilesAt:
        """The version in the bucket, with the folder of its copies."""
        return CopiedFiles(self.bucket, f"{VERSIONS}/{key}/{version}", self.folder(key) / VERSIONS / version, files)

    def folder(self, key: str) -> Path:
        """The folder of an artefact's copies."""
        return self._mirror / key

    def holds(self, key: str, version: str, files: Iterable[str]) -> bool:
        """True: the files were there before the manifest. One that somebody deleted is missed when it is read."""
        return True

    def delete_versions(self, key: str, keep: set[str]) -> None:
        """Remove the resumable state, and what nobody can reach and nobody can be reading any more."""
        shutil.rmtree(self.folder(key) / WORK, ignore_errors=True)
        forget_copies(self.folder(key), keep, KEPT)
        sweep(self.bucket, key=key)

    def sweep(self, age: timedelta = KEPT) -> list[str]:
        """Delete the files that nobody can reach since `age`, of all artefacts; returns their paths."""
        return sweep(self.bucket, age)

    def shards(self, asset: str) -> list[str]:
        """Names of the asset's published shards."""
        return [_shard_of(entry) for entry in self.bucket.list(f"{MANIFESTS}/{asset}")]

    def remove(self, key: str) -> bool:
        """Delete the artefact's manifest, unless its lock is held; its files are swept a day later.

        When that was, is written first: a reader may be reading the files still.
        """
        try:
            with leased(self.bucket, key, wait=False, seconds=self._lease_seconds):
                if found := self.bucket.get(manifest_path(key)):
                    note_removed(self.bucket, key, found.data)
                self.bucket.delete([manifest_path(key)])
                shutil.rmtree(self.folder(key), ignore_errors=True)
        except HeldError:
            return False
        return True


def _shard_of(entry: Listed) -> str:
    return entry.path.rpartition("/")[2].removesuffix(".json")


def _part(data: bytes, name: str) -> str | None:
    """The text of the manifest, or of the one before it, in an artefact's object."""
    try:
        part = json.loads(data)["manifest" if name == MANIFEST else "previous"]
    except (ValueError, KeyError, TypeError):
        return data.decode("utf-8", "replace")  # the store says that it is damaged
    return None if part is None else json.dumps(part, ensure_ascii=False, allow_nan=False)


def _loaded(text: str) -> Any:
    return json.loads(text, parse_constant=lambda _: None)
