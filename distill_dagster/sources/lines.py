"""Lines of a source file, one at a time: split on b"\\n" alone, within a size, and never half a file.

U+2028 and other line ends of Unicode are text inside a JSON string, so nothing but b"\\n" ends a line. A line longer
than the limit is passed over without being held in memory. A compressed file that breaks off is an error: its last
rows would otherwise be missing without a word.
"""

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import fsspec
import zstandard

from distill_dagster.errors import DataError

CHUNK = 1 << 18  # bytes read at once from plain and gzip files
ZSTD_CHUNK = 1 << 12  # compressed bytes fed at once: 4 bytes can stand for 128 KiB, so this bounds memory
BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line with its 1-based number; `data` is None where it was longer than the limit."""

    number: int
    data: bytes | None
    size: int  # bytes without \n; of a line that is kept also without \r and byte order mark


def read_lines(url: str, max_row_bytes: int) -> Iterator[Line]:
    """The lines of a file that are not blank.

    Raises:
        DataError: the file is not there, cannot be read, or breaks off inside its compression.
    """
    try:
        with fsspec.open(url, "rb", compression="gzip" if url.endswith(".gz") else None) as stream:
            chunks = _unzstd(stream) if url.endswith(".zst") else iter(lambda: stream.read(CHUNK), b"")  # pyright: ignore[reportAttributeAccessIssue]
            yield from _split(chunks, max_row_bytes)
    except FileNotFoundError as e:
        raise DataError(f"{url} is not there; it may have been moved since the files were listed") from e
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as e:
        raise DataError(
            f"{url} cannot be read to its end ({e}); write it again, and rename it into place when it is whole"
        ) from e


def _split(chunks: Iterator[bytes], limit: int) -> Iterator[Line]:
    """Cut a stream of bytes at b"\\n"; what is kept of a line never exceeds `limit` by more than a chunk."""
    number, size, kept = 1, 0, []
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            line = _line(number, b"".join([*kept, piece]) if kept else piece, size + len(piece), limit)
            if line is not None:
                yield line
            number, size, kept = number + 1, 0, []
        size += len(rest)
        kept = [*kept, rest] if rest and size <= limit + 4 else ([] if size > limit + 4 else kept)
    line = _line(number, b"".join(kept), size, limit)
    if line is not None:
        yield line


def _line(number: int, data: bytes, size: int, limit: int) -> Line | None:
    """The line without its \\r and, on the first one, without a byte order mark; None if it is blank."""
    if size > limit + 4:  # 4: a \r and a byte order mark do not count
        return Line(number, None, size)
    data = data.removesuffix(b"\r")
    if number == 1:
        data = data.removeprefix(BOM)
    if len(data) > limit:
        return Line(number, None, len(data))
    return Line(number, data, len(data)) if data and not data.isspace() else None


def _unzstd(stream: Any) -> Iterator[bytes]:
    """Decompressed bytes of one or more zstd frames."""
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
