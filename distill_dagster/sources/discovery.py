"""Which source files there are: one file is one shard, and its key is a folder's name in the store.

    data.train: ["data/train/*.jsonl"], data.validation: ["s3://bucket/validation.parquet"]
    SourceFile(key="train-part-00", split="train",      url="/p/data/train/part-00.jsonl")
    SourceFile(key="validation",    split="validation", url="s3://bucket/validation.parquet")

A folder that `datasets.save_to_disk` wrote counts as one file.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import fsspec

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.opening import read_chunks, said
from distill_dagster.sources.rows import ENDING, ENDINGS
from distill_dagster.sources.saved_dataset import data_files, is_saved_dataset
from distill_dagster.storage import check_key


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One shard: a file of rows, and the split that its place in the config puts it in."""

    key: str
    split: str  # train | validation | test; "" for a file that a command line names
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


def named(patterns: Iterable[str]) -> list[SourceFile]:
    """The files that a command line names, in its order; their keys say which they are, and name no folder.

    Raises:
        DataError: a pattern matches no file, or a file cannot be read as rows.
    """
    urls = dict.fromkeys(url for pattern in patterns for url in _expand("FILE", pattern))
    return [SourceFile(_stem(url), "", url) for url in urls]


def content_hash(source: SourceFile) -> str:
    """Hex SHA-256 of the file's bytes as they are stored, of a saved dataset its Arrow files': the shard's version.

    Raises:
        DataError: the file cannot be read.
    """
    digest = hashlib.sha256()
    for url in [source.url] if ENDING.search(source.url) else data_files(source.url):
        for chunk in read_chunks(url, unpack=False):
            digest.update(chunk)
    return digest.hexdigest()


def _files(split: str, patterns: Iterable[str]) -> Iterator[SourceFile]:
    """The files of a split; one that several patterns match comes once."""
    urls = dict.fromkeys(url for pattern in patterns for url in _expand(f"data.{split}", pattern))
    for url in urls:
        stem = _stem(url)
        yield SourceFile(check_key(stem if stem == split else f"{split}-{stem}"), split, url)


def _stem(url: str) -> str:
    """The file's name without its ending."""
    return ENDING.sub("", url.rstrip("/").rpartition("/")[2])


def _expand(asked: str, pattern: str) -> list[str]:
    """The URLs that a pattern matches: the file or saved dataset of that very name, else what its wildcards match.

    `asked` is where the pattern stands, for what is said about it.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(pattern)
        filesystem.invalidate_cache()
        urls = _matches(filesystem, path)
    except DataError:
        raise
    except Exception as e:  # a store's own errors: no credentials, no connection, no such protocol
        raise DataError(f"{asked}: {pattern!r} cannot be listed: {said(e)}") from e
    if not urls:
        folder = "" if ENDING.search(path) else f", and for the files of a folder write {path.rstrip('/')}/*"
        raise DataError(f"{asked}: {pattern!r} matches no file; check the path and the * in it{folder}")
    for url, is_file in urls.items():
        if is_file and not ENDING.search(url):
            raise DataError(f"{asked}: {url} does not end in {ENDINGS}; convert it, or narrow the pattern")
    return list(urls)


def _matches(filesystem: Any, path: str) -> dict[str, bool]:
    """URL -> whether it is a file and not a saved dataset's folder; other folders are passed over."""
    if filesystem.isfile(path):
        return {_url(filesystem, path): True}
    found = {path: {"type": "directory"}} if filesystem.isdir(path) else filesystem.glob(path, detail=True)
    files = {name: info["type"] == "file" for name, info in sorted(found.items())}
    return {_url(filesystem, name): f for name, f in files.items() if f or is_saved_dataset(filesystem, name)}


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
