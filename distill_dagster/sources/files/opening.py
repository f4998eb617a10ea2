"""Reads a source file's current bytes to their end, on this machine or behind any fsspec URL.

An object store's filesystem caches the sizes that it has listed, so a file that a longer one has replaced would be read
up to its old size, or not at all. The cache is therefore cleared before a file is opened. Every store has its own error
classes, so any error while opening or reading becomes a DataError that names the file.
"""

import contextlib
import gzip
import os
from collections.abc import Iterator
from typing import Any

import fsspec

from distill_dagster.errors import DataError

CHUNK = 1 << 18  # bytes read at once from plain and gzip files
ZSTD_CHUNK = 1 << 12  # compressed bytes fed at once: 4 bytes can stand for 128 KiB, so this bounds memory
REMOTE_BLOCK = 1 << 22  # bytes fetched at once from an object store, whose own default may be 50 MiB


@contextlib.contextmanager
def opened(url: str) -> Iterator[Any]:
    """The file, open for reading bytes as they are stored.

    Raises:
        DataError: it is missing, or this user may not read it.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        filesystem.invalidate_cache(path)
        stream = filesystem.open(path, "rb", block_size=REMOTE_BLOCK)
    except FileNotFoundError as e:
        raise DataError(f"{url} does not exist; it may have been moved since the files were listed") from e
    except Exception as e:  # such as no credentials, no connection, no permission
        raise DataError(f"{url} cannot be read ({said(e)}); may this user read it?") from e
    with stream:
        yield stream


@contextlib.contextmanager
def reading(url: str) -> Iterator[None]:
    """Wraps one read of an open file, so that its errors name the file.

    Raises:
        DataError: the file breaks off, is not what its name says, or its store does not answer.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as e:  # of the decompressors, pyarrow and the stores
        raise DataError(
            f"{url} cannot be read to its end ({said(e)}); write it again, and rename it into place when it is whole"
        ) from e


def read_chunks(url: str, *, unpack: bool = True) -> Iterator[bytes]:
    """The file's bytes in pieces; with `unpack`, decompressed if its name ends in .gz or .zst.

    A compressed file that breaks off is an error: otherwise its last rows would be missing silently.

    Raises:
        DataError: as `opened` and `reading`.
    """
    with opened(url) as stream:
        if unpack and url.endswith(".zst"):
            pieces = _unzstd(stream)
        else:
            plain = gzip.GzipFile(fileobj=stream) if unpack and url.endswith(".gz") else stream
            pieces = iter(lambda: plain.read(CHUNK), b"")
        while True:
            with reading(url):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece


def _unzstd(stream: Any) -> Iterator[bytes]:
    """Decompressed bytes of one or more zstd frames."""
    import zstandard  # here, so that only a machine that reads such files needs it

    frame, started = zstandard.ZstdDecompressor().decompressobj(), False
    while data := stream.read(ZSTD_CHUNK):
        while data:
            started = True
            yield frame.decompress(data)
            data = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame, started = zstandard.ZstdDecompressor().decompressobj(), False
    if started:
        raise EOFError("the last zstd frame is cut off")


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


def said(error: Exception) -> str:
    """An error's message, or its class if the message is empty."""
    return str(error) or type(error).__name__
