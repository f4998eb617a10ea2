"""Deletes the files that no manifest names, a day after the last moment at which a reader may have begun to read them.

    versions/raw_dataset/train-part-00/3f2a…-9c01/raw.parquet    named by the manifest, or by the one before it: kept
    versions/raw_dataset/train-part-00/77b0…-1d44/raw.parquet    retired at 12:00: deleted the next day after 12:00
    versions/raw_dataset/train-part-00/9d02…-5e1a/raw.parquet    of a writer that was killed at 12:00: the same
    versions/raw_dataset/train-part-07/60a1…-77c2/raw.parquet    of a shard that was removed at 12:00: the same

All times are those of the server's clock. The files are listed before the manifests are read, so what a manifest names
by then is kept.
"""

import json
import shutil
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from distill_dagster.errors import DataError
from distill_dagster.store.backend import SCRATCH, VERSIONS
from distill_dagster.store.manifest import require_manifest
from distill_dagster.store.objects.bucket import Bucket, Listed
from distill_dagster.store.objects.copies import in_threads
from distill_dagster.store.objects.lease import is_held

KEPT = timedelta(days=1)
MANIFESTS, REMOVED = "manifests", "removed"


def manifest_path(key: str) -> str:
    """The path of an artefact's object."""
    return f"{MANIFESTS}/{key}.json"


def key_of(path: str) -> str:
    """The artefact that an object in `manifests/` is of."""
    return path.removeprefix(f"{MANIFESTS}/").removesuffix(".json")


def sweep(bucket: Bucket, age: timedelta = KEPT, key: str | None = None) -> list[str]:
    """Delete what nobody can have begun to read since `age`; returns the paths.

    `key`: of this artefact, whose lock the caller holds. Else of all artefacts that nobody writes now.

    Raises:
        DataError: a manifest is damaged, or the bucket cannot be used.
    """
    deleted = [entry.path for entry, _ in unreachable(bucket, age, key)]
    bucket.delete(deleted)
    if key is None:
        _forget_removed(bucket)
    return deleted


def note_removed(bucket: Bucket, key: str, manifest: bytes) -> None:
    """Write down that the versions of an artefact's object may be read until now, because it is about to be deleted."""
    path, now = f"{REMOVED}/{key}.json", bucket.now().isoformat()
    found, document = bucket.get(path), loaded(bucket, manifest_path(key), manifest)
    named = {document[part]["version"]: now for part in ("manifest", "previous") if document[part]}
    times = (json.loads(found.data) if found else {}) | document["retired"] | named
    bucket.put(path, json.dumps(times, allow_nan=False).encode())


def _forget_removed(bucket: Bucket) -> None:
    """Delete the notes of removed artefacts whose files are all gone."""
    keys = [entry.path.removeprefix(f"{REMOVED}/").removesuffix(".json") for entry in bucket.list(REMOVED)]
    gone = [key for key in keys if not bucket.list(f"{VERSIONS}/{key}")]
    bucket.delete(f"{REMOVED}/{key}.json" for key in gone)


def _removed(bucket: Bucket, key: str | None) -> dict[str, datetime]:
    """Folder -> when its artefact was removed, of the versions of removed artefacts."""
    paths = [f"{REMOVED}/{key}.json"] if key else [entry.path for entry in bucket.list(REMOVED)]
    return {
        f"{VERSIONS}/{path.removeprefix(f'{REMOVED}/').removesuffix('.json')}/{version}": datetime.fromisoformat(when)
        for path, found in zip(paths, in_threads(bucket.get, paths), strict=True)
        if found
        for version, when in json.loads(found.data).items()
    }


def unreachable(bucket: Bucket, age: timedelta = KEPT, key: str | None = None) -> list[tuple[Listed, datetime]]:
    """What `sweep` would delete, with the time since when nobody can have begun to read it."""
    listed = bucket.list(f"{VERSIONS}/{key}" if key else VERSIONS)
    if not listed:
        return []
    paths = [manifest_path(key)] if key else [entry.path for entry in bucket.list(MANIFESTS)]
    named, retired = set[str](), dict[str, datetime]()
    for path, found in zip(paths, in_threads(bucket.get, paths), strict=True):
        if found:
            _read(path, loaded(bucket, path, found.data), named, retired)
    retired = _removed(bucket, key) | retired  # read last: the note of a removal is there before its manifest is gone
    unnamed = [entry for entry in listed if not _is_below(entry, named)]
    since, now = _unread_since(unnamed, retired), bucket.now() if unnamed else None
    old = [entry for entry in unnamed if now and now - since[entry.path] > age]
    names = set[str]().union(*map(_keys, old)) if key is None else set[str]()
    busy = {name for name in names if is_held(bucket, name)}
    return [(entry, since[entry.path]) for entry in old if not _keys(entry) & busy]


def _read(path: str, document: dict[str, Any], named: set[str], retired: dict[str, datetime]) -> None:
    """Add the folders that a manifest names, and those that it retired."""
    folder = f"{VERSIONS}/{key_of(path)}"
    named |= {f"{folder}/{document[part]['version']}" for part in ("manifest", "previous") if document[part]}
    for version, when in document["retired"].items():
        retired[f"{folder}/{version}"] = datetime.fromisoformat(when)


def loaded(bucket: Bucket, path: str, data: bytes) -> dict[str, Any]:
    """An artefact's object; DataError with its URL if it is damaged."""
    way_out = "delete it, and run again to make the artefact"
    try:
        document = json.loads(data, parse_constant=lambda _: None)  # an older version wrote NaN for None
    except (ValueError, RecursionError) as e:
        raise DataError(f"{bucket.url}/{path} is not JSON ({e}): {way_out}") from None
    try:
        _require_object(document)
    except (ValueError, TypeError) as e:
        raise DataError(f"{bucket.url}/{path} is no artefact's object ({e}): {way_out}") from None
    return document


def _require_object(document: Any) -> None:
    """Raise a ValueError or a TypeError unless this is an artefact's object."""
    if not isinstance(document, dict) or not {"manifest", "previous", "retired"} <= document.keys():
        raise ValueError("it does not have the keys of one")
    require_manifest(document["manifest"])
    if document["previous"] is not None:
        require_manifest(document["previous"])
    if not isinstance(document["retired"], dict):
        raise ValueError("retired has the wrong type")
    for when in document["retired"].values():
        datetime.fromisoformat(when)


def _is_below(entry: Listed, folders: Iterable[str]) -> bool:
    above = entry.path.split("/")
    return any("/".join(above[:depth]) in folders for depth in (3, 4))  # versions/asset/version, …/asset/shard/version


def _unread_since(unnamed: list[Listed], retired: dict[str, datetime]) -> dict[str, datetime]:
    """Path -> when it was retired. What was never named counts from the last such file of the artefact."""
    last: dict[str, datetime] = {}
    for entry in unnamed:
        group = _group(entry)
        last[group] = max(last.get(group, entry.written_at), entry.written_at)
    return {
        entry.path: next((when for folder, when in retired.items() if entry.path.startswith(f"{folder}/")), None)
        or last[_group(entry)]
        for entry in unnamed
    }


def _keys(entry: Listed) -> set[str]:
    """The artefact that a file is of, as an asset and as a shard of one: the path does not tell."""
    _, asset, second, *_ = entry.path.split("/")
    return {asset, f"{asset}/{second}"}


def _group(entry: Listed) -> str:
    return "/".join(entry.path.split("/")[:3])


def forget_copies(folder: Path, keep: set[str], age: timedelta = KEPT) -> None:
    """Delete copies of versions that are not in `keep` and were not asked for since `age`, and old scratch folders."""
    copies = folder / VERSIONS
    for copy in (*(copies.iterdir() if copies.is_dir() else ()), *folder.glob(f"{SCRATCH}*")):
        if copy.name not in keep and time.time() - copy.stat().st_mtime > age.total_seconds():
            shutil.rmtree(copy, ignore_errors=True)
