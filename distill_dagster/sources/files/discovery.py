"""Finds the source files: each file is one shard, and its key names the shard's folder in the store.

    data.train: ["data/train/*.jsonl"], data.validation: ["s3://bucket/validation.parquet"]
    SourceFile(key="train-part-00", split="train",      url="/p/data/train/part-00.jsonl")
    SourceFile(key="validation",    split="validation", url="s3://bucket/validation.parquet")

A folder that `datasets.save_to_disk` wrote counts as one file. A symlink counts as its target but keeps its own name;
one that points to a file already in the split is skipped. A broken symlink counts as a file that cannot be read.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.files.opening import read_chunks, said
from distill_dagster.sources.files.rows import ENDING, ENDINGS
from distill_dagster.sources.files.saved_dataset import data_files, is_saved_dataset
from distill_dagster.store.artefacts import check_key


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One shard: a file of rows, and its split, which follows from its place in the config."""

    key: str
    split: str  # train | validation | test; "" for a file from the command line
    url: str  # a local path or an fsspec URL


def discover(data: DataConfig) -> list[SourceFile]:
    """Training and validation files, sorted by key.

    Raises:
        DataError: a pattern matches no file, a file cannot be read as rows, or two files get the same key.
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
    urls = dict.fromkeys(url for pattern in patterns for url in _expand("FILE", pattern))
    return [SourceFile(_stem(url), "", url) for url in urls]


def content_hash(source: SourceFile) -> str:
    """The shard's version: hex SHA-256 of the file's stored bytes, or of the Arrow files of a saved dataset.

    Raises:
        DataError: the file cannot be read.
    """
    refuse_dangling(source.url)
    digest = hashlib.sha256()
    for url in [source.url] if ENDING.search(source.url) else data_files(source.url):
        for chunk in read_chunks(url, unpack=False):
            digest.update(chunk)
    return digest.hexdigest()


def refuse_dangling(path: str) -> None:
    """Refuse a broken symlink by name, which the error for a missing file would not do.

    Raises:
        DataError: `path` is a symlink whose target is missing, or in a folder that this user may not enter.
    """
    if os.path.islink(path) and not os.path.exists(path):
        raise DataError(
            f"{path} is a link to {os.readlink(path)}, which does not exist for this user: fetch its target (for files "
            "under DVC, `dvc pull`), or remove the link"
        )


def _files(split: str, patterns: Iterable[str]) -> Iterator[SourceFile]:
    """The files of a split; a file that several patterns or symlinks lead to comes once."""
    urls = list(dict.fromkeys(url for pattern in patterns for url in _expand(f"data.{split}", pattern)))
    real = _real(urls)
    own = {real[url] for url in urls if not os.path.islink(url)}
    for url in urls:
        if os.path.islink(url) and real[url] in own:
            continue
        stem = _stem(url)
        yield SourceFile(check_key(stem if stem == split else f"{split}-{stem}"), split, url)


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


def _expand(asked: str, pattern: str) -> list[str]:
    """The URLs that a pattern matches: the file or saved dataset of exactly that name, else the wildcard matches.

    `asked` says where the pattern comes from, for messages.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(pattern)
        filesystem.invalidate_cache()
        urls = _matches(filesystem, path)
    except DataError:
        raise
    except Exception as e:  # such as no credentials, no connection, no such protocol
        raise DataError(f"{asked}: {pattern!r} cannot be listed: {said(e)}") from e
    if not urls:
        if filesystem.isdir(path):
            raise DataError(
                f"{asked}: {pattern!r} is a folder, and `datasets.save_to_disk` did not write it: for its files write "
                f"{pattern.rstrip('/')}/*"
            )
        folder = "" if ENDING.search(path) else f", and for the files of a folder write {path.rstrip('/')}/*"
        raise DataError(f"{asked}: {pattern!r} matches no file; check the path and the * in it{folder}")
    for url, is_file in urls.items():
        if is_file and not ENDING.search(url):
            refuse_dangling(url)
            raise DataError(f"{asked}: {url} does not end in {ENDINGS}; convert it, or narrow the pattern")
    return list(urls)


def _matches(filesystem: Any, path: str) -> dict[str, bool]:
    """URL -> True for a file, False for a saved dataset's folder; other folders are skipped."""
    if filesystem.isfile(path):
        return {_url(filesystem, path): True}
    found = {path: {"type": "directory"}} if filesystem.isdir(path) else filesystem.glob(path, detail=True)
    if not found and filesystem.lexists(path):  # a broken symlink
        found = {path: {"type": "link"}}
    files = {name: _is_file(filesystem, name, info) for name, info in sorted(found.items())}
    return {_url(filesystem, name): f for name, f in files.items() if f or is_saved_dataset(filesystem, name)}


def _is_file(filesystem: Any, path: str, listed: dict[str, Any]) -> bool:
    """Whether it is a file, a symlink to one, or a broken symlink; listings do not say where a symlink points."""
    if listed["type"] in ("file", "directory"):
        return listed["type"] == "file"
    is_link = listed["type"] == "link" or listed.get("islink", False)
    is_lock = path.rpartition("/")[2].startswith(".#")  # Emacs puts a broken symlink beside a file in edit
    return filesystem.isfile(path) or (is_link and not is_lock and not filesystem.exists(path))


def _url(filesystem: Any, path: str) -> str:
    """`path` in a form that fsspec.open takes: a plain path on the local filesystem, else a URL."""
    return path if "file" in _protocols(filesystem) else filesystem.unstrip_protocol(path)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    return (filesystem.protocol,) if isinstance(filesystem.protocol, str) else tuple(filesystem.protocol)


def _by_key(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files sorted by key, which must be unique."""
    seen: dict[str, SourceFile] = {}
    for file in files:
        other = seen.setdefault(file.key, file)
        if other is not file:
            raise DataError(f"{other.url} and {file.url} both get the shard key {file.key!r}; rename one of them")
    return [seen[key] for key in sorted(seen)]
