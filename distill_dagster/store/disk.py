"""Write files so that they survive a crash, and turn a full or read-only disk into an error that names it."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from distill_dagster.errors import DataError, chain_of

FULL = {errno.ENOSPC, errno.EDQUOT}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}
SAYS_FULL = re.compile(  # safetensors and tokenizers, in Rust; pyarrow
    rf"no space left on device|disk quota exceeded|os error (?:{errno.ENOSPC}|{errno.EDQUOT})\b", re.IGNORECASE
)
SAYS_UNWRITTEN = re.compile(r"PytorchStreamWriter failed writing|inline_container")  # torch.save: for any reason
SCARCE = 64 * 2**20  # bytes: a disk with less free space than this can have been too small for a file


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


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace a file by `text`: a reader sees the old or the new content, never a part.

    `durable`: it survives a power failure; False for what can be fetched again.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_text(text, encoding="utf-8")
        if durable:
            fsync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        fsync(path.parent)


@contextlib.contextmanager
def room_for(root: Path) -> Iterator[None]:
    """Turn the error of a disk that is full, or of a store that cannot be written, into a `DataError`.

    Libraries report a full disk in their own ways: an `OSError`, or a `RuntimeError` that only quotes it. They also
    write outside the store, to temporary files and caches, so the message names the disk. Other errors pass.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as e:
        if (full := _full_place(e, root)) is not None:
            name = f"the store {root}" if full == root else str(full)
            raise DataError(
                f"{name} is full ({_said(e)}): make room on {file_system_of(full)} and run again; no artefact is half "
                "published"
            ) from e
        if isinstance(e, OSError) and e.errno == errno.EFBIG:
            raise DataError(
                f"a file in the store {root} would be larger than this process or its disk allows ({e}): raise "
                "`ulimit -f`, or choose another `store:`"
            ) from e
        if isinstance(e, OSError) and e.errno in CLOSED and (e.filename is None or _is_below(e.filename, root)):
            raise DataError(f"the store {root} cannot be written ({e}): choose another `store:`") from e
        raise


def file_system_of(path: Path) -> str:
    """The file system that holds a path, with its free space, for messages: `the file system /data (3.2 MB free)`."""
    mount = _existing(path)
    while not os.path.ismount(mount):
        mount = mount.parent
    return f"the file system {mount} ({_free(mount) / 1e6:,.1f} MB free)"


def _full_place(error: BaseException, root: Path) -> Path | None:
    """The folder whose disk an error reports as full; None if it reports something else."""
    causes = list(chain_of(error))
    named = next((e.filename for e in causes if isinstance(e, OSError) and e.errno in FULL and e.filename), None)
    if named is not None:
        path = Path(os.fsdecode(named)).absolute()
        return root if _is_below(path, root) else path.parent
    scarcest = min([root, *_places_outside()], key=lambda place: _free(_existing(place)))
    if any((isinstance(e, OSError) and e.errno in FULL) or SAYS_FULL.search(str(e)) for e in causes):
        return scarcest if _free(_existing(scarcest)) < SCARCE else root
    if any(SAYS_UNWRITTEN.search(str(e)) for e in causes) and _free(_existing(scarcest)) < SCARCE:
        return scarcest
    return None


def _places_outside() -> list[Path]:
    """Where libraries write besides the store: temporary files, Hugging Face's cache, Dagster's home."""
    cache = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "huggingface")
    home = os.environ.get("DAGSTER_HOME")
    return [Path(tempfile.gettempdir()), Path(cache), *([Path(home)] if home else [])]


def _said(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _is_below(path: str | bytes | int | Path, root: Path) -> bool:
    return not isinstance(path, int) and Path(os.fsdecode(path)).absolute().is_relative_to(root.absolute())


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def _free(path: Path) -> int:
    return shutil.disk_usage(path).free


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
