"""Publish into a folder: each release is a folder beside the others, and `current` leads to the released one.

    /mnt/models/support/releases/3f2a91c07d3e-5b1c88aa/    config.json, model.safetensors, README.md …
    /mnt/models/support/current -> releases/3f2a91c07d3e-5b1c88aa

The files are copied into `releases/.3f2a91c07d3e-5b1c88aa.part`, which is renamed when it is whole. Then the link is
replaced in one step. Earlier releases stay, so a reader that has opened one is not disturbed.
"""

import os
import shutil
import tempfile
from pathlib import Path

from distill_dagster.config import FolderPlaceConfig
from distill_dagster.errors import PublishError
from distill_dagster.release.publish.bundle import RECORD_FILE, Bundle, ReleaseRecord, read_record
from distill_dagster.release.publish.specs import PublishedPlace
from distill_dagster.store.disk import file_sha256, fsync, settle
from distill_dagster.store.links import leads, point

CURRENT, RELEASES = "current", "releases"


def publish_to_folder(place: FolderPlaceConfig, bundle: Bundle) -> PublishedPlace:
    """Make the bundle the current release of the folder.

    Raises:
        PublishError: the folder cannot be written, has no links, or belongs to another project.
    """
    root = Path(place.path)
    target, link = root / RELEASES / bundle.release, root / CURRENT
    bundle.require_own(_record_in(link), place.path)
    try:
        uploaded = 0 if target.is_dir() else _fill(target, bundle)
        _tidy(root)
    except OSError as e:
        raise _unwritable(root, e) from e
    _require_whole(target, bundle)
    was_there = leads(link, target)
    if not point(link, target):
        raise PublishError(
            f"{link} cannot lead to {target}: the name is taken, or the file system has no symbolic links; move it "
            "away, or choose another `folder.path`"
        )
    return PublishedPlace(
        kind="folder",
        place=place.path,
        state="already there" if was_there and not uploaded else "published",
        release=bundle.release,
        revision=bundle.release,
        url=str(link),
        uploaded=uploaded,
    )


def look_at_folder(place: FolderPlaceConfig, project: str, whole: bool) -> str:
    """What was found at the folder; with `whole`, a test file is written.

    Raises:
        PublishError: it cannot be written, or belongs to another project.
    """
    root = Path(place.path)
    Bundle(project, "", root, {}).require_own(_record_in(root / CURRENT), place.path)
    above = next(path for path in (root, *root.parents) if os.path.lexists(path))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise PublishError(f"{root} cannot be written ({above} is read-only or no folder): choose another folder")
    if whole:
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root) as file:
                file.write(b"preflight")
        except OSError as e:
            raise _unwritable(root, e) from e
    return f"{root} can be written"


def _fill(target: Path, bundle: Bundle) -> int:
    """Make the folder of a release; returns how many files were copied, without those of a run that was killed."""
    part, copied = target.with_name(f".{target.name}.part"), 0
    for name, wanted in bundle.files.items():
        path = part / name
        if path.is_file() and file_sha256(path) == wanted:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.folder / name, path)
        copied += 1
    (part / RECORD_FILE).write_text(bundle.record.text, encoding="utf-8")
    settle(part)
    os.rename(part, target)
    fsync(target.parent)
    return copied


def _tidy(root: Path) -> None:
    """Delete what runs that were killed have left: parts of other releases, and links that were not switched."""
    for part in (root / RELEASES).glob(".*.part"):
        shutil.rmtree(part)
    for link in root.glob(f".{CURRENT}.*"):
        link.unlink()


def _require_whole(target: Path, bundle: Bundle) -> None:
    for name, size in bundle.sizes.items():
        path = target / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            said = f"has {found} bytes, not {size}" if found is not None else "is gone"
            raise PublishError(f"{path} {said}: something else changed it; delete {target}, and publish again")


def _record_in(folder: Path) -> ReleaseRecord | None:
    path = folder / RECORD_FILE
    return read_record(path.read_bytes(), str(path)) if path.is_file() else None


def _unwritable(root: Path, error: OSError) -> PublishError:
    said = error.strerror or str(error)
    return PublishError(
        f"{root} cannot be written ({said}): make room, make it writable, or choose another `folder.path`, and run "
        "again: what was copied is not copied again"
    )
