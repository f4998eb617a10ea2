"""Write files so that they survive a crash, and turn a full or read-only disk into an error that names the store."""

import contextlib
import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from distill_dagster.errors import DataError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Force a file, or a folder's entries, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Replace a file by `text`: a reader sees the old or the new content, never a part."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_text(text, encoding="utf-8")
        fsync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync(path.parent)


@contextlib.contextmanager
def room_for(root: Path) -> Iterator[None]:
    """Turn the `OSError` of a store that is full or cannot be written into a `DataError`; every other error passes."""
    try:
        yield
    except OSError as e:
        if e.errno in FULL:
            raise DataError(
                f"the store {root} is full ({e}): make room and run again; no artefact is half published"
            ) from e
        if e.errno in CLOSED and (e.filename is None or Path(os.fsdecode(e.filename)).is_relative_to(root)):
            raise DataError(f"the store {root} cannot be written ({e}): choose another `store:`") from e
        raise


def settle(folder: Path) -> dict[str, str]:
    """Give every file of `folder` the umask's mode, fsync it, and return path inside the folder -> SHA-256."""
    umask = os.umask(0)
    os.umask(umask)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    for path in files:
        path.chmod(0o666 & ~umask)  # safetensors writes 0600
        fsync(path)
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        fsync(path)
    return {str(p.relative_to(folder)): file_sha256(p) for p in files}
