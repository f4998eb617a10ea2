"""Decodes one row's JSON text into an object, or says why it cannot: E001 in one place, for every kind of file.

orjson decodes most rows, three times as fast as the standard library's json. But it turns whole numbers beyond 64 bits
into floats, and refuses some texts that json accepts. So json decides whenever orjson refuses a row or returns a float
that may have been such a number: the verdict is always json's.

    b'{"id": 12345678901234567890123}'     orjson: 1.2345678901234568e+22     json: 12345678901234567890123

Both keep the last of two equal keys, so an object with the same key twice is found by counting: a key ends in `":`, and
fewer decoded keys than such ends mean a second one (or a text that holds `":`). Then json looks at each pair.

    b'{"role": "user", "role": "system"}'     "the key 'role' occurs twice in one object"
"""

import json
import math
import re
from typing import Any, NamedTuple

import orjson

from distill_dagster.sources.files.lines import Line
from distill_dagster.store.hashing import canonical_json

DEEPEST = 50  # levels of nesting; json and repr fail only far beyond
TOO_DEEP = f"the row is nested more than {DEEPEST} levels deep"


class Decoded(NamedTuple):
    """A row's text and its object, or None and the problem."""

    line: Line
    row: dict[str, Any] | None
    problem: str


def decode(line: Line, limit: int) -> Decoded:
    """The JSON object of a row of at most `limit` bytes, or why it has none (E001)."""
    data = line.data
    if data is None:
        return Decoded(line, None, f"the row has {line.size:,} bytes; data.max_row_bytes is {limit:,}")
    try:
        row = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _decode_slowly(line, data)
    if type(row) is not dict or data.count(b"[") + data.count(b"{") > DEEPEST or not _is_whole(row, data):
        return _decode_slowly(line, data)
    return Decoded(line, row, "")


def last_wins(line: Line) -> dict[str, Any] | None:
    """The object of a row that is refused because a key occurs twice, as most programs read it; else None."""
    try:
        row = json.loads((line.data or b"").decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _is_whole(row: dict[str, Any], data: bytes) -> bool:
    """Whether orjson's object surely is what json would return, and has every key of the text."""
    if any(blank in data for blank in _BLANKS_BEFORE_COLON) and _KEY_AND_BLANK.search(data):
        return False
    return _keys(row) == data.count(b'":')


_BLANKS_BEFORE_COLON = (b" :", b"\t:", b"\r:", b"\n:")
_KEY_AND_BLANK = re.compile(rb'"[ \t\r\n]+:')
_INEXACT = -(
    2**62
)  # added for a float that may be a whole number too large for orjson: no count of keys makes up for it


def _keys(value: Any) -> int:
    """How many keys an object or list has at all levels; below 0 if one of its floats may be inexact."""
    count, inners = (len(value), value.values()) if type(value) is dict else (0, value)
    for inner in inners:
        kind = type(inner)
        if kind is str or kind is int:
            continue
        if kind is float:
            if abs(inner) >= 2**63:
                return _INEXACT
        elif kind is dict or kind is list:
            count += _keys(inner)
    return count


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RepeatedKeyError(f"the key {twice[:60]!r} occurs twice in one object; keep one of the two")
    return made


class RepeatedKeyError(ValueError):
    """An object with the same key twice: readers differ on which one counts."""


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_float, object_pairs_hook=_object)


def _decode_slowly(line: Line, data: bytes) -> Decoded:
    """As `decode`, with the standard library only."""
    try:
        text = data.decode("utf-8")
        row = _decoder.decode(text)
        if "\\ud" in text or "\\uD" in text:
            canonical_json(row).encode("utf-8")  # fails for half a surrogate pair, which cannot be stored
    except UnicodeDecodeError as e:
        return Decoded(line, None, f"byte {e.start + 1} of the row is not UTF-8: {e.reason}")
    except UnicodeEncodeError:
        return Decoded(line, None, "the row holds half a surrogate pair (\\ud800 to \\udfff), which is not a character")
    except RecursionError:
        return Decoded(line, None, TOO_DEEP)
    except RepeatedKeyError as e:
        return Decoded(line, None, str(e))
    except ValueError as e:
        return Decoded(line, None, f"the row is not JSON: {e}")
    if not isinstance(row, dict):
        return Decoded(line, None, f"the row is a JSON {type(row).__name__}, an object is expected")
    return Decoded(line, None, TOO_DEEP) if _is_deep(row) else Decoded(line, row, "")


def _is_deep(value: Any) -> bool:
    """Whether lists and objects are nested more than `DEEPEST` levels."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            child for v in level if isinstance(v, dict | list) for child in (v.values() if isinstance(v, dict) else v)
        ]
    return any(isinstance(v, dict | list) for v in level)
