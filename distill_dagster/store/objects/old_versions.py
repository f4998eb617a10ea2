"""The versions of a store in a bucket that are not current. One that goes is retired first: its files go a day later.

    manifests/raw_dataset/train-part-00.json    {"manifest": …, "previous": null, "retired": {"77b0…-1d44": "12:00"}}

A reader may have begun with the version before, so its files go with the sweep that finds it retired for a day.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from distill_dagster.store.objects.backend import ObjectBackend
from distill_dagster.store.objects.bucket import TakenError
from distill_dagster.store.objects.copies import in_threads
from distill_dagster.store.objects.lease import HeldError, is_free, leased
from distill_dagster.store.objects.sweep import (
    KEPT,
    MANIFESTS,
    forget_copies,
    key_of,
    loaded,
    manifest_path,
    unreachable,
)
from distill_dagster.store.old_versions import NamedVersion, Unnamed, of_manifest

LONGEST_LEASE = timedelta(hours=1)  # a lock that was not written for so long is nobody's


@dataclass(frozen=True, slots=True)
class BucketOldVersions:
    """Those below a URL."""

    backend: ObjectBackend

    def named(self) -> list[NamedVersion]:
        """One request for each artefact."""
        bucket, found = self.backend.bucket, list[NamedVersion]()
        paths = [entry.path for entry in bucket.list(MANIFESTS)]
        for path, stored in zip(paths, in_threads(bucket.get, paths), strict=True):
            document = loaded(bucket, path, stored.data) if stored else None
            if document:
                found.append(of_manifest(key_of(path), document["manifest"]))
                if document["previous"]:
                    found.append(of_manifest(key_of(path), document["previous"], document["manifest"]))
        return found

    def unnamed(self) -> list[Unnamed]:
        """Files that were retired, or left by a killed process, more than a day ago."""
        return [
            Unnamed(_key_of(entry.path), entry.path, entry.size, since)
            for entry, since in unreachable(self.backend.bucket, KEPT)
        ]

    def written_now(self) -> set[str]:
        """Those whose lease is held."""
        bucket = self.backend.bucket
        listed = bucket.list("locks")
        now = bucket.now() if listed else None
        young = [entry.path for entry in listed if now and now - entry.written_at < LONGEST_LEASE]
        found = zip(young, in_threads(bucket.get, young), strict=True)
        held = [
            path for path, stored in found if stored and json.loads(stored.data)["held"] and not is_free(bucket, stored)
        ]
        return {path.removeprefix("locks/").removesuffix(".json") for path in held}

    def size(self, version: NamedVersion) -> int:
        """That of its objects."""
        return sum(entry.size for entry in self.backend.bucket.list(f"versions/{version.key}/{version.version}"))

    def delete(self, version: NamedVersion) -> bool:
        """Retire the version, unless its artefact is written now."""
        try:
            with leased(self.backend.bucket, version.key, wait=False):
                return self._retire(version)
        except (HeldError, TakenError):
            return False

    def _retire(self, version: NamedVersion) -> bool:
        bucket, path = self.backend.bucket, manifest_path(version.key)
        stored = bucket.get(path)
        document = loaded(bucket, path, stored.data) if stored else None
        if not stored or not document or (document["previous"] or {}).get("version") != version.version:
            return False
        retired = {**document["retired"], version.version: bucket.now().isoformat()}
        after = {**document, "previous": None, "retired": retired}
        bucket.replace(
            path, (json.dumps(after, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(), stored.tag
        )
        return True

    def delete_unnamed(self, found: Sequence[Unnamed]) -> list[Unnamed]:
        """Sweep, which looks again; and delete old copies of versions on this machine."""
        names: dict[str, set[str]] = {}
        for version in self.named():
            names.setdefault(version.key, set()).add(version.version)
        for key, keep in names.items():
            forget_copies(self.backend.folder(key), keep)
        deleted = set(self.backend.sweep())
        return [left for left in found if left.place in deleted]


def _key_of(path: str) -> str:
    """The artefact of versions/asset/version/file or versions/asset/shard/version/file, as far as the path tells."""
    return "/".join(path.split("/")[1:3])
