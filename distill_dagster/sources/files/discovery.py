"""Finds the source files: each file is one shard, and its key names the shard's folder in the store.

    data.train: ["data/train/*.jsonl"], data.validation: ["s3://bucket/validation.parquet"]
    SourceFile(key="train-part-00", split="train",      url="/p/data/train/part-00.jsonl")
    SourceFile(key="validation",    split="validation", url="s3://bucket/validation.parquet")

A file whose name cannot be a key gets one made of it, and a `problem`, so that it fails alone. A folder that
`datasets.save_to_disk` wrote counts as one file. A symlink counts as its target but keeps its own name; one that points
to a file already in the split is skipped. A broken symlink counts as a file that cannot be read.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError, UserError
from distill_dagster.sources.files.opening import read_chunks, refuse_dangling
from distill_dagster.sources.files.patterns import expand
from distill_dagster.sources.files.rows import ENDING
from distill_dagster.sources.files.saved_dataset import data_files
from distill_dagster.store.artefacts import check_key
from distill_dagster.store.hashing import sha256

NO_KEY = re.compile(r"[^A-Za-z0-9_-]+")
SHOWN_OF_KEY = 60


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One shard: a file of rows, and its split, which follows from its place in the config."""

    key: str
    split: str  # train | validation | test; "" for a file from the command line
    url: str  # a local path or an fsspec URL
    problem: str = ""  # why it cannot be a shard; such a file counts as one that cannot be read


def discover(data: DataConfig) -> list[SourceFile]:
    """Training and validation files, sorted by key.

    Raises:
        DataError: a pattern matches no file, a file has another ending, or two files get the same key.
    """
    files = [*_files("train", data.train), *_files("validation", data.validation)]
    for what, _ in _in_two_splits(files):
        raise DataError(
            f"{what} is matched by data.train and by data.validation; a file has one split: narrow a pattern"
        )
    return _by_key(files)


def discover_test(data: DataConfig) -> list[SourceFile]:
    """Test files, sorted by key. Raises as `discover` does, and for a file that is also for training or validation."""
    files = list(_files("test", data.test))
    for what, split in _in_two_splits([*discover(data), *files]):
        raise DataError(
            f"{what} is matched by data.test and by data.{split}; the student must not train on a test file: narrow "
            "one of the patterns"
        )
    return _by_key(files)


def named(patterns: Iterable[str]) -> list[SourceFile]:
    """The files of a command line, in its order; their keys identify them in messages and name no folder.

    Raises:
        DataError: a pattern matches no file, or a file cannot be read as rows.
    """
    urls = dict.fromkeys(url for pattern in patterns for url in expand("FILE", pattern))
    return [SourceFile(_stem(url), "", url) for url in urls]


def content_hash(source: SourceFile) -> str:
    """The shard's version: hex SHA-256 of the file's stored bytes, or of the Arrow files of a saved dataset.

    Raises:
        DataError: the file cannot be read, or its name cannot be a key.
    """
    require_key(source)
    refuse_dangling(source.url)
    digest = hashlib.sha256()
    for url in [source.url] if ENDING.search(source.url) else data_files(source.url):
        for chunk in read_chunks(url, unpack=False):
            digest.update(chunk)
    return digest.hexdigest()


def require_key(source: SourceFile) -> None:
    """Refuse a file whose name cannot be a key.

    Raises:
        DataError: it is such a file.
    """
    if source.problem:
        raise DataError(source.problem)


def _files(split: str, patterns: Iterable[str]) -> Iterator[SourceFile]:
    """The files of a split; a file that several patterns or symlinks lead to comes once."""
    urls = list(dict.fromkeys(url for pattern in patterns for url in expand(f"data.{split}", pattern)))
    real = _real(urls)
    own = {real[url] for url in urls if not os.path.islink(url)}
    for url in urls:
        if os.path.islink(url) and real[url] in own:
            continue
        stem = _stem(url)
        yield _source(stem if stem == split else f"{split}-{stem}", split, url)


def _source(key: str, split: str, url: str) -> SourceFile:
    """The file under its key, or under one that is made of its name and says why it is not its own."""
    try:
        return SourceFile(check_key(key), split, url)
    except UserError as e:
        letters = NO_KEY.sub("-", key)[:SHOWN_OF_KEY]
        return SourceFile(f"{letters}-{sha256(key)[:8]}", split, url, f"{url}: {e}")


def _real(urls: Sequence[str]) -> dict[str, str]:
    """URL -> resolved path; if no URL is a symlink, each maps to itself, because resolving takes time."""
    if not any(map(os.path.islink, urls)):
        return {url: url for url in urls}
    return {url: url if "://" in url else os.path.realpath(url) for url in urls}


def _in_two_splits(files: Sequence[SourceFile]) -> Iterator[tuple[str, str]]:
    """Each file that another split has too, by name or through a symlink, and that split."""
    real, first = _real([file.url for file in files]), dict[str, SourceFile]()
    for file in files:
        other = first.setdefault(real[file.url], file)
        if other.split != file.split:
            yield file.url if file.url == other.url else f"{file.url} (the same file as {other.url})", other.split


def _stem(url: str) -> str:
    """The file's name without its ending."""
    return ENDING.sub("", url.rstrip("/").rpartition("/")[2])


def _by_key(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files sorted by key, which must be unique."""
    seen: dict[str, SourceFile] = {}
    for file in files:
        other = seen.setdefault(file.key, file)
        if other is not file:
            raise DataError(f"{other.url} and {file.url} both get the shard key {file.key!r}; rename one of them")
    return [seen[key] for key in sorted(seen)]
