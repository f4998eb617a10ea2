"""How an artefact is published and found again: complete or not at all.

    store/
      teacher_outputs/
        train-part-00/                    one artefact: an asset, or one shard of it
          manifest.json                   names the current version; replaced last, atomically
          previous.json                   the manifest that this one replaced
          versions/3f2a…-9c01/            the current version's files, which never change
          versions/77b0…-1d44/            the version before, for readers that still hold it and for comparisons
          work/                           resumable state of an unfinished run (training checkpoints)

A publication writes into a scratch folder, makes every file durable, adds the folder to `versions/`, copies the old
manifest to `previous.json`, and then replaces the manifest. A reader that starts from the manifest therefore never sees
half an artefact, and a killed writer leaves only files that the next publication removes.
"""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill_dagster.errors import DataError, NotPublishedError, UserError
from distill_dagster.store.backend import MANIFEST, PREVIOUS, Backend, LocalBackend, ReplacedError
from distill_dagster.store.manifest import FilesAt, Manifest, title_of
from distill_dagster.store.result import Result

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
Make = Callable[[Path, Path], Result]  # fills the scratch folder; may keep resumable state in the second


def check_key(key: str) -> str:
    """Return `key` if it may name a folder.

    Raises:
        UserError: it is empty, too long, or holds anything but letters, digits, `_`, `.` and `-`.
    """
    if not KEY.fullmatch(key) or ".." in key:
        raise UserError(
            f"shard name {key!r} cannot be a key: use letters, digits, '_', '.', '-', at most 100; rename the file"
        )
    return key


class Store:
    """All artefacts of a project: the rules by which they are published, over a `Backend` that keeps them.

    Example:
        >>> store = Store(Path("store"))
        >>> def make(out: Path, work: Path) -> Result:
        ...     (out / "rows.txt").write_text("a")
        ...     return Result(data_version="v1", counts=Counts(rows=1))
        >>> store.publish("raw_dataset", "train-part-00", fingerprint="f1", inputs={}, make=make).counts
        {'rows': 1}
    """

    __slots__ = ("backend", "is_unsettled", "root")

    def __init__(
        self, root: Path, backend: Backend | None = None, is_unsettled: Callable[[Manifest], bool] = lambda _: False
    ) -> None:
        self.root = root  # the project's local folder; of a store in a bucket, the one beside it
        self.backend: Backend = backend or LocalBackend(root)
        self.is_unsettled = is_unsettled  # a manifest that says complete, by older rules, of what is to be made again

    def folder(self, asset: str, shard: str | None = None) -> Path:
        """The local folder of an artefact, existing or not."""
        return self.backend.folder(_key(asset, shard))

    def uri(self, asset: str, shard: str | None = None) -> str:
        """Where an artefact is, for people."""
        return self.backend.uri(_key(asset, shard))

    def find_all(self, asset: str) -> dict[str, Manifest | None] | None:
        """Shard -> manifest of all published shards, where one look at all costs less than many at one; else None."""
        texts = self.backend.read_all(check_key(asset))
        if texts is None:
            return None
        return {shard: self._parsed(_key(asset, shard), text) for shard, text in texts.items()}

    def find(self, asset: str, shard: str | None = None) -> Manifest | None:
        """The manifest of a published artefact, or None. An artefact with a missing file does not count.

        Raises:
            DataError: the manifest is not JSON.
        """
        return self._read(_key(asset, shard), MANIFEST)

    def previous(self, asset: str, shard: str | None = None) -> Manifest | None:
        """The manifest of the version before the current one, to compare with; None where that is not there.

        A writer that was killed just before it replaced the manifest leaves the current version's manifest in
        `previous.json`: then there is none.
        """
        key = _key(asset, shard)
        previous, current = self._read(key, PREVIOUS), self._read(key, MANIFEST)
        return None if previous is None or (current and current.version == previous.version) else previous

    def get(self, asset: str, shard: str | None = None) -> Manifest:
        """The manifest of a published artefact.

        Raises:
            NotPublishedError: the artefact has not been published.
            DataError: the manifest is not JSON.
        """
        manifest = self.find(asset, shard)
        if manifest is None:
            raise NotPublishedError.of(title_of(asset, shard), self.name)
        return manifest

    def publish(
        self, asset: str, shard: str | None, *, fingerprint: str, inputs: dict[str, Any], make: Make
    ) -> Manifest:
        """Let `make(out, work)` fill the scratch folder `out`, then publish it as the artefact's current version.

        `work` may hold what lets a killed `make` resume; it is kept for this fingerprint alone, until the publication.
        An artefact has one writer at a time; a second one waits, and finds the first one's work done. An artefact of
        this fingerprint that is not complete is made again.

        Raises:
            DataError: the disk is full, or the store cannot be written; what was published before remains.
        """
        key = _key(asset, shard)
        with self.backend.writing(key):
            text = self.backend.read(key, MANIFEST)
            current = self._parsed(key, text)
            if current is not None and current.is_made_from(fingerprint):
                return current
            scratch = self.backend.scratch(key)
            result = make(scratch, self.backend.work(key, fingerprint[:12]))
            made_from = {"fingerprint": fingerprint, "inputs": inputs}
            try:
                return self._add(asset, shard, scratch, result, made_from, text)
            except ReplacedError:
                theirs = self.find(asset, shard)
                if theirs is None or not theirs.is_made_from(fingerprint):
                    raise self._overtaken(asset, shard) from None
                return theirs

    def revise(self, asset: str, shard: str | None, make: Callable[[Manifest, Path], Result]) -> Manifest:
        """Publish another version of an artefact that is made from the same inputs, such as after a person's decision.

        `make` is given the current manifest and a scratch folder. The artefact stays as fresh, or as stale, as it was.

        Raises:
            NotPublishedError: the artefact has not been published.
            DataError: the disk is full, or the store cannot be written; what was published before remains.
        """
        key = _key(asset, shard)
        with self.backend.writing(key):
            text = self.backend.read(key, MANIFEST)
            current, scratch = self.get(asset, shard), self.backend.scratch(key)
            made_from = {"fingerprint": current.fingerprint, "inputs": current.inputs}
            try:
                return self._add(asset, shard, scratch, make(current, scratch), made_from, text)
            except ReplacedError:
                raise self._overtaken(asset, shard) from None

    def has_lost_files(self, asset: str, shard: str | None = None) -> bool:
        """Whether an artefact was published, and does not count any more because one of its files is gone."""
        is_known = self.backend.read(_key(asset, shard), MANIFEST) is not None
        return is_known and self.find(asset, shard) is None

    def shards(self, asset: str) -> list[str]:
        """Keys of the shards that have a folder, published or not."""
        return self.backend.shards(check_key(asset))

    def remove(self, asset: str, shard: str) -> bool:
        """Delete a shard with all its versions; False, and nothing deleted, while somebody writes it."""
        return self.backend.remove(_key(asset, shard))

    @property
    def name(self) -> str:
        """The folder, or the URL, of the whole store, for messages."""
        return self.backend.uri("").rstrip("/")

    def _overtaken(self, asset: str, shard: str | None) -> DataError:
        return DataError(
            f"{title_of(asset, shard)} was published from other inputs while it was being made, by a process that took "
            f"its lock in {self.name}; theirs stays: run again to make it from the present inputs"
        )

    def _read(self, key: str, name: str) -> Manifest | None:
        """A manifest whose files all exist, or None."""
        return self._parsed(key, self.backend.read(key, name), name)

    def _parsed(self, key: str, text: str | None, name: str = MANIFEST) -> Manifest | None:
        if text is None:
            return None

        def files_at(version: str, files: dict[str, str]) -> FilesAt | None:
            return self.backend.files_at(key, version, files) if self.backend.holds(key, version, files) else None

        try:
            raw = json.loads(text, parse_constant=lambda _: None)  # an older version wrote NaN for None
            manifest = Manifest.of(raw, files_at)
        except (ValueError, RecursionError) as e:
            place, kind = self.backend.uri(key), "JSON" if isinstance(e, json.JSONDecodeError) else "a manifest"
            raise DataError(
                f"{place}/{name} is not {kind} ({e}); delete {place} and materialize {key.partition('/')[0]} again"
            ) from e
        if manifest is None:
            return None
        return replace(manifest, complete=manifest.complete and not self.is_unsettled(manifest))

    def _add(
        self,
        asset: str,
        shard: str | None,
        scratch: Path,
        result: Result,
        made_from: dict[str, Any],
        replaced: str | None,
    ) -> Manifest:
        """Turn a filled scratch folder into the current version, in place of that of the manifest `replaced`."""
        key, (counts, facts) = _key(asset, shard), result.parts()
        version, before = f"{made_from['fingerprint'][:12]}-{uuid.uuid4().hex[:4]}", self._parsed(key, replaced)
        files = self.backend.add_version(key, version, scratch)
        manifest = Manifest(
            asset=asset,
            shard=shard,
            files=files,
            version=version,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            files_at=self.backend.files_at(key, version, files),
            data_version=result.data_version,
            counts=counts,
            facts=facts,
            complete=result.complete,
            **made_from,
        )
        self.backend.make_current(key, _document(manifest), replaced)
        self.backend.delete_versions(key, keep={version, before.version} if before else {version})
        return manifest


def _key(asset: str, shard: str | None) -> str:
    return check_key(asset) if shard is None else f"{check_key(asset)}/{check_key(shard)}"


def _document(manifest: Manifest) -> str:
    """The manifest as the text of its file."""
    return json.dumps(manifest.document(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
