"""Which source files there are: one file is one shard, and its key is a folder's name in the store.

data.train: ["data/train/*.jsonl"], data.validation: ["data/validation.jsonl"]
SourceFile(key="train-part-00", split="train",      url="/p/data/train/part-00.jsonl")
SourceFile(key="validation",    split="validation", url="/p/data/validation.jsonl")
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import fsspec

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.storage import check_key

ENDING = re.compile(r"\.jsonl(?:\.gz|\.zst)?$")
CHUNK = 1 << 20  # bytes read at once


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One shard: a file of rows, and the split that its place in the config puts it in."""

    key: str
    split: str  # train | validation | test
    url: str  # a local path or an fsspec URL


def discover(data: DataConfig) -> list[SourceFile]:
    """Training and validation files, sorted by key.

    Raises:
        DataError: a pattern matches no file, a file cannot be read as rows, or two files get the same key.
    """
    files = [*_files("train", data.train), *_files("validation", data.validation)]
    splits: dict[str, str] = {}
    for file in files:
        if splits.setdefault(file.url, file.split) != file.split:
            raise DataError(f"{file.url} is matched by data.train and by data.validation; a file has one split")
    return _by_key(files)


def discover_test(data: DataConfig) -> list[SourceFile]:
    """Held-out files, sorted by key. Raises as `discover` does, and for a file that is for training too."""
    files = list(_files("test", data.test))
    trained = {file.url: file.split for file in discover(data)}
    for file in files:
        if file.url in trained:
            raise DataError(
                f"{file.url} is matched by data.test and by data.{trained[file.url]}; a held-out file must not be "
                "trained on: narrow one of the patterns"
            )
    return _by_key(files)


def content_hash(source: SourceFile) -> str:
    """Hex SHA-256 of the file's bytes as they are stored: the data version of the shard.

    Raises:
        DataError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with fsspec.open(source.url, "rb") as stream:
            while chunk := stream.read(CHUNK):  # pyright: ignore[reportAttributeAccessIssue]
                digest.update(chunk)
    except OSError as e:
        raise DataError(f"{source.url} cannot be read ({e}); is it still there, and may this user read it?") from e
    return digest.hexdigest()


def _files(split: str, patterns: Iterable[str]) -> Iterator[SourceFile]:
    """The files of a split; one that several patterns match comes once."""
    urls = dict.fromkeys(url for pattern in patterns for url in _expand(split, pattern))
    for url in urls:
        name = url.rstrip("/").rpartition("/")[2]
        stem = ENDING.sub("", name)
        if stem == name:
            raise DataError(
                f"data.{split}: {url} does not end in .jsonl, .jsonl.gz or .jsonl.zst; "
                "convert it, or narrow the pattern"
            )
        yield SourceFile(check_key(stem if stem == split else f"{split}-{stem}"), split, url)


def _expand(split: str, pattern: str) -> list[str]:
    """The URLs that a pattern matches: the file of that very name, else what its wildcards match."""
    try:
        filesystem, path = fsspec.core.url_to_fs(pattern)
        if filesystem.isfile(path):
            return [pattern]
        found: Any = filesystem.glob(path, detail=True)
    except (OSError, ValueError, ImportError) as e:
        raise DataError(f"data.{split}: {pattern!r} cannot be listed: {e}") from e
    urls = [_url(filesystem, name) for name, info in sorted(found.items()) if info["type"] == "file"]
    if not urls:
        raise DataError(f"data.{split}: {pattern!r} matches no file; check the path, and the * in it")
    return urls


def _url(filesystem: Any, path: str) -> str:
    """`path` as something fsspec.open takes: a plain path where the filesystem is the local one."""
    return path if "file" in _protocols(filesystem) else filesystem.unstrip_protocol(path)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    return (filesystem.protocol,) if isinstance(filesystem.protocol, str) else tuple(filesystem.protocol)


def _by_key(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files sorted by key, which must be unique."""
    seen: dict[str, SourceFile] = {}
    for file in files:
        other = seen.setdefault(file.key, file)
        if other is not file:
            raise DataError(f"{other.url} and {file.url} would both be the shard {file.key!r}; rename one of them")
    return [seen[key] for key in sorted(seen)]
