"""The files that a pattern of the config or of the command line matches.

Only what the user wrote is a pattern: a file or folder that exists is taken by its name, with all its `[`, `*` and `?`.

    /p/[2024] proj/data/*.jsonl     the folder "/p/[2024] proj/data" exists, so "*.jsonl" is the pattern
"""

import re
from typing import Any

import fsspec
from fsspec.utils import glob_translate

from distill_dagster.errors import DataError
from distill_dagster.sources.files.opening import refuse_dangling, said
from distill_dagster.sources.files.rows import ENDING, ENDINGS
from distill_dagster.sources.files.saved_dataset import is_saved_dataset

WILDCARD = re.compile(r"[*?\[]")


def expand(asked: str, pattern: str) -> list[str]:
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
        star = " and the * in it" if "*" in pattern else ""
        raise DataError(f"{asked}: {pattern!r} matches no file; check the path{star}{folder}")
    for url, is_file in urls.items():
        if is_file and not ENDING.search(url):
            refuse_dangling(url)
            raise DataError(f"{asked}: {url} does not end in {ENDINGS}; convert it, or narrow the pattern")
    return list(urls)


def _matches(filesystem: Any, path: str) -> dict[str, bool]:
    """URL -> True for a file, False for a saved dataset's folder; other folders are skipped."""
    if filesystem.isfile(path):
        return {_url(filesystem, path): True}
    found = {path: {"type": "directory"}} if filesystem.isdir(path) else _glob(filesystem, path)
    if not found and filesystem.lexists(path):  # a broken symlink
        found = {path: {"type": "link"}}
    files = {name: _is_file(filesystem, name, info) for name, info in sorted(found.items())}
    return {_url(filesystem, name): f for name, f in files.items() if f or is_saved_dataset(filesystem, name)}


def _glob(filesystem: Any, path: str) -> dict[str, dict[str, Any]]:
    """Path -> listing of what a pattern matches. The folders before its first wildcard may have wildcards as names."""
    folder, pattern = _split_pattern(filesystem, path)
    if not WILDCARD.search(folder):
        return filesystem.glob(path, detail=True)
    depth = None if "**" in pattern else pattern.count("/") + 1
    found = filesystem.find(folder, maxdepth=depth, withdirs=True, detail=True)
    matches = re.compile(glob_translate(pattern)).match
    return {name: info for name, info in found.items() if matches(name[len(folder) + 1 :])}


def _split_pattern(filesystem: Any, path: str) -> tuple[str, str]:
    """The folders of exactly these names that a pattern begins with, and the rest of it."""
    folder, *parts = path.split("/")
    for number, part in enumerate(parts):
        if WILDCARD.search(part) and not filesystem.isdir(f"{folder}/{part}"):
            return folder, "/".join(parts[number:])
        folder = f"{folder}/{part}"
    return folder.rpartition("/")[0], parts[-1] if parts else path


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
