"""Opens a store, and the folders beside its artefacts, at the place that the config names: a folder, or a bucket.

open_store("s3://models/support", Path("/p/.distill"))        artefacts in the bucket, their copies in the folder
place_of("s3://models/support#responses#/p/.distill")         a place as one text, for the spec of a worker
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distill_dagster.config.bucket import is_bucket
from distill_dagster.store.artefacts import Store
from distill_dagster.store.documents import Documents, LocalDocuments
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.objects.backend import ObjectBackend
from distill_dagster.store.objects.bucket import Bucket, open_bucket
from distill_dagster.store.objects.documents import BucketDocuments
from distill_dagster.store.objects.old_versions import BucketOldVersions
from distill_dagster.store.old_versions import LocalOldVersions, OldVersions


def open_store(store: str, local: Path, is_unsettled: Callable[[Manifest], bool] = lambda _: False) -> Store:
    """The store at a path or URL; `local` is the local folder of the latter.

    Raises:
        DataError: the package for buckets is not installed.
    """
    backend = ObjectBackend(open_bucket(store), local) if is_bucket(store) else None
    return Store(local, backend, is_unsettled)


def old_versions_of(store: Store) -> OldVersions:
    """What is in a store besides the current versions."""
    if isinstance(store.backend, ObjectBackend):
        return BucketOldVersions(store.backend)
    return LocalOldVersions(store.root)


@dataclass(frozen=True, slots=True)
class BucketFolder:
    """A folder in a bucket, with a local folder beside it. Its text is what a spec holds."""

    store: str
    path: str
    local: Path

    def __str__(self) -> str:
        return f"{self.store}#{self.path}#{self.local}"

    @classmethod
    def parsed(cls, text: str) -> "BucketFolder":
        """The folder of a text."""
        store, path, local = text.split("#", 2)
        return cls(store, path, Path(local))

    @property
    def bucket(self) -> Bucket:
        """The store's bucket."""
        return open_bucket(self.store)


Place = Path | BucketFolder


def place_of(text: str | Place) -> Place:
    """A place from its text."""
    if isinstance(text, str):
        return BucketFolder.parsed(text) if is_bucket(text) else Path(text)
    return text


def documents_in(place: Place, *below: str) -> Documents:
    """The documents of a place, or of a folder in it."""
    if isinstance(place, BucketFolder):
        return BucketDocuments(place.bucket, "/".join((place.path, *below)))
    return LocalDocuments(place.joinpath(*below))
