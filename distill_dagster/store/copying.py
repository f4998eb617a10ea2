"""Copies the artefacts of one store to another place, with their versions: everything stays fresh there.

An artefact is copied while its lock is held in the target: its files first, each checked against the SHA-256 of its
manifest where it has arrived, then the manifest. The source is only read, so a copy of a store in use waits for no run:
a version never changes, and where it was replaced meanwhile, the copy begins again with the new one. A copy that was
stopped goes on where it was: what arrived is checked and not sent again. An artefact that the target holds is replaced
only if its version is the one before in the source.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill_dagster.errors import DataError
from distill_dagster.store.artefacts import Store
from distill_dagster.store.backend import MANIFEST, PREVIOUS


def copy_artefacts(source: Store, target: Store, say: Callable[[str, bool], None]) -> int:
    """Copy every published artefact; `say` gets the key of each, and whether it was new there. Returns how many were.

    Raises:
        DataError: a file is not the one that was published, the target holds another version, or a place cannot be
            used.
    """
    new = 0
    for key in source.backend.published():
        with target.backend.writing(key):
            is_new = _copy_in_use(source, target, key)
        source.backend.forget(key)
        say(key, is_new)
        new += is_new
    return new


def _copy_in_use(source: Store, target: Store, key: str) -> bool:
    """Copy an artefact; again, if it was published meanwhile and a file was deleted with the older version."""
    while True:
        before = source.backend.read(key, MANIFEST)
        try:
            return _copy(source, target, key)
        except (DataError, FileNotFoundError):
            if source.backend.read(key, MANIFEST) == before:
                raise


def _copy(source: Store, target: Store, key: str) -> bool:
    text, there = source.backend.read(key, MANIFEST), target.backend.read(key, MANIFEST)
    if text is None:
        return False  # removed since the listing
    wanted, found = _loaded(text), there and _loaded(there)
    before = source.backend.read(key, PREVIOUS)
    if found and found["version"] != wanted["version"]:
        if before is None or found["version"] != _loaded(before)["version"]:
            raise DataError(
                f"{target.name} holds {key} in the version {found['version']}, and {source.name} in "
                f"{wanted['version']}: it was not replaced; copy to an empty place, or delete the target's first"
            )
    elif found:
        target.backend.adopt(key, wanted["version"], _folder(source, key, wanted), wanted["files"])
        return False
    if not found and before is not None and _is_whole(source, key, _loaded(before), wanted):
        _adopt(source, target, key, before, None)
        there = target.backend.read(key, MANIFEST)
    _adopt(source, target, key, text, there)
    return True


def _is_whole(source: Store, key: str, before: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether the version before is another one, with all its files."""
    return before["version"] != wanted["version"] and source.backend.holds(key, before["version"], before["files"])


def _adopt(source: Store, target: Store, key: str, text: str, replaced: str | None) -> None:
    """Copy a version, and make it the current one."""
    manifest = _loaded(text)
    target.backend.adopt(key, manifest["version"], _folder(source, key, manifest), manifest["files"])
    target.backend.make_current(key, json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False), replaced)


def _folder(source: Store, key: str, manifest: dict[str, Any]) -> Path:
    files = source.backend.files_at(key, manifest["version"], manifest["files"])
    folder = files.local(manifest["files"])
    if missing := [name for name in manifest["files"] if not (folder / name).is_file()]:
        raise DataError(
            f"{folder / missing[0]} is gone, so {key} counts as not made: materialize it again, or delete "
            f"{source.backend.uri(key)}, and copy again: what arrived is not sent again"
        )
    return folder


def _loaded(text: str) -> dict[str, Any]:
    return json.loads(text, parse_constant=lambda _: None)  # an older version wrote NaN for None
