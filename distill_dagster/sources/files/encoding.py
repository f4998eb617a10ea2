"""Text files as UTF-8: a text in UTF-16 or UTF-32, as some Windows programs write it, is converted.

b"\\xff\\xfe{\\x00"    the byte order mark of UTF-16, little end first
b"{\\x00"              the same without a mark: JSON begins with an ASCII character, and holds no zero
"""

import codecs
import itertools
from collections.abc import Iterator

from distill_dagster.errors import DataError
from distill_dagster.sources.files.opening import read_chunks

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BY_ZEROS = {"x000": "utf-32-le", "000x": "utf-32-be", "x0": "utf-16-le", "0x": "utf-16-be"}


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
    zeros = "".join("x0"[byte == 0] for byte in first[:4])
    return _BY_ZEROS.get(zeros) or _BY_ZEROS.get(zeros[:2])


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
