"""Reads a `.json` file that holds one list of rows, element by element, so that the list is never in memory.

    [{"a": 1},          Line(1, b'{"a": 1}', 8)
     {"b": [2, 3]}]     Line(2, b'{"b": [2, 3]}', 13)

The text is only cut, at the commas outside strings and inner lists or objects. Each element is then judged like a line
of a .jsonl file, so an element that is not JSON is one refused row.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from distill_dagster.errors import DataError
from distill_dagster.sources.files.encoding import read_utf8
from distill_dagster.sources.files.lines import BOM, Line
from distill_dagster.sources.files.opening import CHUNK

MARK = re.compile(rb'["\[\]{},]')
REST_OF_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*("?)', re.DOTALL)


def read_json_list(url: str, max_row_bytes: int) -> Iterator[Line]:
    """The elements of the file's list; one over the limit is skipped without being held in memory.

    Raises:
        DataError: the file is missing, cannot be read, does not hold a list, or breaks off.
    """
    number, kept, size, closed = 1, [], 0, False
    for piece, mark in _elements(_inside_list(url)):
        if closed and (mark or piece.strip()):
            raise DataError(
                f"{url} goes on after its list, at {piece[:40]!r}; write one list, or one row a line as .jsonl"
            )
        size += len(piece)
        kept = [*kept, piece] if size <= max_row_bytes + CHUNK else []  # white space around a row does not count
        if not mark:
            continue
        closed = mark != b","
        data = b"".join(kept).strip()
        if size > max_row_bytes + CHUNK or len(data) > max_row_bytes:
            yield Line(number, None, max(size, len(data)))
        elif data or not closed or number > 1:  # an empty list has no row
            yield Line(number, data, len(data))
        number, kept, size = number + 1, [], 0
    if not closed:
        raise DataError(
            f"{url} breaks off inside row {number}; write it again, and rename it into place when it is whole"
        )


def _inside_list(url: str) -> Iterator[bytes]:
    """The text after the list's opening bracket."""
    chunks, head = read_utf8(url), b""
    for chunk in chunks:
        head = (head + chunk).removeprefix(BOM).lstrip()
        if head:
            break
    if not head:
        return iter((b"]",))  # an empty file has no row
    if head[:1] != b"[":
        raise DataError(
            f"{url} does not hold a list of rows, it begins with {head[:40].decode('utf-8', 'replace')!r}; "
            "put the rows between [ and ], or name a file with one row a line .jsonl"
        )
    return _unescaped_ends(head[1:], chunks)


def _unescaped_ends(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut so that no piece ends between a backslash and the character that it escapes."""
    held = first
    for chunk in chunks:
        whole = held.rstrip(b"\\")
        yield whole
        held = held[len(whole) :] + chunk
    yield held


@dataclass(slots=True)
class _Scanner:
    """Finds the brackets and commas outside strings, in a text that comes in pieces."""

    in_string: bool = False

    def marks(self, text: bytes) -> Iterator[re.Match[bytes]]:
        position = 0
        while True:
            if self.in_string:
                rest = REST_OF_STRING.match(text, position)
                assert rest is not None
                if not rest[1]:
                    return
                position, self.in_string = rest.end(), False
            mark = MARK.search(text, position)
            if mark is None:
                return
            position = mark.end()
            if mark[0] == b'"':
                self.in_string = True
            else:
                yield mark


def _elements(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """(bytes of the element, mark); the mark is b"," or the closing bracket that ends it, or b"" if it goes on."""
    depth, scanner = 1, _Scanner()
    for piece in pieces:
        start = 0
        for mark in scanner.marks(piece):
            if mark[0] in b"[{":
                depth += 1
            elif mark[0] != b",":
                depth -= 1
            if depth < 1 or (depth == 1 and mark[0] == b","):
                yield piece[start : mark.start()], mark[0]
                start = mark.end()
        yield piece[start:], b""
