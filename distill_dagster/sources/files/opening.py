"""Reads a source file's current bytes to their end, on this machine or behind any fsspec URL.

An object store's filesystem caches the sizes that it has listed, so a file that a longer one has replaced would be read
up to its old size, or not at all. The cache is therefore cleared before a file is opened. Every store has its own error
classes, so any error while opening or reading becomes a DataError that names the file.
"""

import codecs
import contextlib
import gzip
import itertools
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


def read_utf8(url: str) -> Iterator[bytes]:
    """The file's text in pieces of UTF-8; a text in UTF-16 or UTF-32, as Windows writes it, is converted.

    Raises:
        DataError: as `read_chunks`, or a text in UTF-16 or UTF-32 that breaks off or is none.
    """
    chunks = read_chunks(url)
    first = next(chunks, b"")
    encoding = _wide_encoding(first)
    chunks = itertools.chain((first,) if first else (), chunks)
    return chunks if encoding is None else _converted(chunks, encoding, url)


def _wide_encoding(first: bytes) -> str | None:
    """The encoding that a byte order mark names, or that the zeros in the first characters of JSON show (RFC 4627)."""
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding
    zeros = tuple(byte == 0 for byte in first[:4])
    return _BY_ZEROS.get(zeros) or (_BY_ZEROS.get((*zeros[:2], *zeros[:2])) if len(zeros) > 1 else None)


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BY_ZEROS = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}


def _converted(chunks: Iterator[bytes], encoding: str, url: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    for chunk in itertools.chain(chunks, (b"",)):
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as e:
            raise DataError(
                f"{url} begins as {encoding.upper()} and is not valid ({e.reason}); save it as UTF-8"
            ) from e
        if text:
            yield text.encode("utf-8")


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


def said(error: Exception) -> str:
    """An error's message, or its class if the message is empty."""
    return str(error) or type(error).__name__
