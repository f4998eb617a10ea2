"""Reads a source file line by line: split on b"\\n" only, up to a size, and never half of a file.

U+2028 and other line ends of Unicode are text inside a JSON string, so only b"\\n" ends a line. A line over the limit
is skipped without being held in memory.

    b'{"a": 1}\\r\\n\\n{"b": 2}'      Line(1, b'{"a": 1}', 8), Line(3, b'{"b": 2}', 8)
"""

from collections.abc import Iterator
from typing import NamedTuple

from distill_dagster.sources.files.encoding import read_utf8

BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """The JSON text of one row, from a line or from a table's row; `data` is None if it is over the limit."""

    number: int  # 1-based line of a .jsonl, 1-based row of anything else
    data: bytes | None
    size: int  # bytes without \n; for a kept line also without \r and byte order mark


def read_lines(url: str, max_row_bytes: int) -> Iterator[Line]:
    """The lines of a file that are not blank.

    Raises:
        DataError: the file is missing, cannot be read, or its compressed data breaks off.
    """
    return split(read_utf8(url), max_row_bytes)


def split(chunks: Iterator[bytes], limit: int) -> Iterator[Line]:
    """Cut a stream of bytes at b"\\n"; at most `limit` bytes of a line, and one chunk, are in memory."""
    number, size, kept = 1, 0, []
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            line = _line(number, b"".join([*kept, piece]) if kept else piece, size + len(piece), limit)
            if line is not None:
                yield line
            number, size, kept = number + 1, 0, []
        size += len(rest)
        if size > limit + 4:
            kept = []
        elif rest:
            kept.append(rest)
    line = _line(number, b"".join(kept), size, limit)
    if line is not None:
        yield line


def _line(number: int, data: bytes, size: int, limit: int) -> Line | None:
    """The line without \\r and byte order mark, which files that were joined have within; None if it is blank."""
    if size > limit + 4:  # 4: a \r and a byte order mark do not count
        return Line(number, None, size)
    data = data.removesuffix(b"\r").removeprefix(BOM)
    if len(data) > limit:
        return Line(number, None, len(data))
    return Line(number, data, len(data)) if data and not data.isspace() else None
