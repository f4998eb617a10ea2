"""Local copies of files that never change: each is fetched once, checked, and put in place whole.

    mirror/teacher_outputs/train-part-00/versions/3f2a…-9c01/teacher.parquet

Several processes may fetch the same file: each writes a file of its own and renames it, and they are equal. A folder of
copies can be deleted while no process reads it: what is read next is fetched again.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from distill_dagster.errors import DataError
from distill_dagster.store.disk import fsync
from distill_dagster.store.objects.bucket import Bucket

AT_ONCE = 8  # files that are fetched, or sent, at a time
Item = TypeVar("Item")
Done = TypeVar("Done")


class GoneError(DataError):
    """An object is not in the bucket."""


@dataclass(frozen=True, slots=True)
class CopiedFiles:
    """A version in a bucket; `folder` is where its copies are."""

    bucket: Bucket
    prefix: str
    folder: Path
    hashes: Mapping[str, str]  # path inside the folder -> SHA-256

    @property
    def uri(self) -> str:
        """The version's URL."""
        return f"{self.bucket.url}/{self.prefix}"

    def local(self, names: Iterable[str]) -> Path:
        """The folder, with copies of these files in it.

        Raises:
            GoneError: a file is not in the bucket.
            DataError: a file is another one than was published, or the bucket cannot be read.
        """
        missing = [name for name in names if not (self.folder / name).is_file()]
        if missing:
            self.folder.mkdir(parents=True, exist_ok=True)
            in_threads(self._fetch, missing)
        if self.folder.is_dir():
            os.utime(self.folder)  # the age by which `forget` removes it
        return self.folder

    def _fetch(self, name: str) -> None:
        digest = fetch(self.bucket, f"{self.prefix}/{name}", self.folder / name, self.hashes[name])
        if digest is None:
            raise GoneError(
                f"{self.uri}/{name} is gone: if another process replaced the version, run again; if somebody deleted "
                "the file, delete the artefact's object in manifests/ too, and run again to make it"
            )


def fetch(bucket: Bucket, path: str, target: Path, sha256: str | None = None) -> str | None:
    """Copy an object to `target`, whole or not at all; returns its SHA-256, or None where there is no such object.

    Raises:
        DataError: it does not have the SHA-256 that it should have, or the bucket cannot be read.
    """
    chunks = bucket.chunks(path)
    if chunks is None:
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary, digest = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}"), hashlib.sha256()
    try:
        with temporary.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        if sha256 is not None and digest.hexdigest() != sha256:
            raise DataError(
                f"{bucket.url}/{path} has the SHA-256 {digest.hexdigest()[:12]}…, and {sha256[:12]}… was published: "
                "somebody wrote over it; restore it, or delete the artefact's object in manifests/ and run again"
            )
        fsync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return digest.hexdigest()


def sha256_of(bucket: Bucket, path: str) -> str | None:
    """The SHA-256 of an object, read and not kept; None where there is none."""
    chunks, digest = bucket.chunks(path), hashlib.sha256()
    for chunk in chunks or ():
        digest.update(chunk)
    return None if chunks is None else digest.hexdigest()


def in_threads(work: Callable[[Item], Done], items: Iterable[Item]) -> list[Done]:
    """What `work` returns for each item, in their order: requests wait more than they work."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, items))
