"""Publish into a folder: each release is a folder beside the others, and `current` leads to the released one.

    /mnt/models/support/releases/3f2a91c07d3e-5b1c88aa/    config.json, model.safetensors, README.md …
    /mnt/models/support/current -> releases/3f2a91c07d3e-5b1c88aa

The files are copied into `releases/.3f2a91c07d3e-5b1c88aa.part`, which is renamed when it is whole. Then the link is
replaced in one step. Earlier releases stay, so a reader that has opened one is not disturbed. A file that the previous
release has too becomes a hard link, where the file system has them.

`current` and what lies in `releases` belong to one project. Other files of the folder are left alone.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from distill_dagster.config import FolderPlaceConfig
from distill_dagster.errors import PublishError
from distill_dagster.release.publish.bundle import RECORD_FILE, Bundle, ReleaseRecord, read_record, require_own
from distill_dagster.release.publish.specs import PublishedPlace
from distill_dagster.store.disk import file_sha256, fsync, settle, write_text
from distill_dagster.store.links import leads, point

CURRENT, RELEASES = "current", "releases"
PART = f".{'?' * 12}-{'?' * 8}.part"  # of any release


def publish_to_folder(place: FolderPlaceConfig, bundle: Bundle) -> PublishedPlace:
    """Make the bundle the current release of the folder.

    Raises:
        PublishError: the folder cannot be read or written, has no links, or belongs to somebody else.
    """
    root = Path(place.path)
    target, link = root / RELEASES / bundle.release, root / CURRENT
    with _explained(root):
        before = _own_record(root, bundle.project)
        is_new = not target.is_dir()
        uploaded = _fill(target, bundle, link, before) if is_new else 0
        _tidy(root)
        _require_whole(target, bundle)
        is_new = is_new or not leads(link, target)
        _switch(link, target)
    return bundle.published("folder", place.path, str(link), is_new=is_new, uploaded=uploaded)


def look_at_folder(place: FolderPlaceConfig, project: str, whole: bool) -> str:
    """What was found at the folder; with `whole`, a test file is written.

    Raises:
        PublishError: as `publish_to_folder`.
    """
    root = Path(place.path)
    with _explained(root):
        _own_record(root, project)
        above = next(path for path in (root, *root.parents) if os.path.lexists(path))
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise PublishError(f"{root} cannot be written ({above} is read-only or no folder): choose another folder")
        if whole:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root) as file:
                file.write(b"preflight")
    return f"{root} can be written"


def _own_record(root: Path, project: str) -> ReleaseRecord | None:
    """The record of the current release; PublishError if `current`, or what lies in `releases`, is somebody else's."""
    link = root / CURRENT
    before = _record_in(link)
    earlier = sorted(root.glob(f"{RELEASES}/*"))
    for record in [before, *(_record_in(folder) for folder in earlier)]:
        require_own(record, project, str(root))
    is_foreign = before is None and (link.exists() or (link.is_symlink() and not _leads_below(link)))
    foreign = [link] if is_foreign else [path for path in earlier if not before and not _is_ours(path)]
    if foreign:
        raise PublishError(
            f"{foreign[0]} is there, and is no release of this project: move it away, or choose another `folder.path`"
        )
    return before


def _is_ours(path: Path) -> bool:
    """Whether it is a release, or the part of one that was killed before it had its record."""
    return path.match(PART) or _record_in(path) is not None


def _leads_below(link: Path) -> bool:
    """Whether a link leads to where releases lie; the release may have been deleted."""
    return Path(os.readlink(link)).parent == Path(RELEASES)


def _fill(target: Path, bundle: Bundle, current: Path, before: ReleaseRecord | None) -> int:
    """Make the folder of a release; returns how many files were copied, without those of a run that was killed."""
    held = before.files if before else {}
    part, copied = target.with_name(f".{target.name}.part"), 0
    part.mkdir(parents=True, exist_ok=True)
    write_text(part / RECORD_FILE, bundle.record.text)  # first: it says whose part this is
    for name, wanted in bundle.files.items():
        path = part / name
        if path.is_file() and file_sha256(path) == wanted:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if held.get(name) != wanted or not _linked(current / name, path, wanted):
            shutil.copyfile(bundle.folder / name, path)
            copied += 1
    settle(part)
    os.rename(part, target)
    fsync(target.parent)
    return copied


def _linked(source: Path, path: Path, wanted: str) -> bool:
    """Make `path` a hard link to a file of the previous release, if that has not changed, and the disk can do it.

    A file of another user is not linked, because its mode cannot be set.
    """
    if not source.is_file() or source.stat().st_uid != os.geteuid() or file_sha256(source) != wanted:
        return False
    try:
        os.link(source, path)
    except OSError:
        return False
    return True


def _tidy(root: Path) -> None:
    """Delete what runs that were killed have left: parts of other releases, and links that were not switched."""
    for part in (root / RELEASES).glob(PART):
        shutil.rmtree(part)
    for link in root.glob(f".{CURRENT}.*"):
        link.unlink()


def _switch(link: Path, target: Path) -> None:
    if not point(link, target):
        raise PublishError(
            f"{link} cannot lead to {target}: the name is taken, or the file system has no symbolic links; move it "
            "away, or choose another `folder.path`"
        )


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


@contextlib.contextmanager
def _explained(root: Path) -> Iterator[None]:
    """Turn the errors of files into a PublishError that names the folder."""
    try:
        yield
    except OSError as e:
        raise PublishError(
            f"{root} cannot be read or written ({e.strerror or e}): make room, change its mode, or choose another "
            "`folder.path`, and run again: what was copied is not copied again"
        ) from e
