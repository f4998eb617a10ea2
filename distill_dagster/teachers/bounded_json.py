"""Reads the JSON that a server sent. Everything that comes from an endpoint is read here.

    {"logprob": NaN}, {"logprob": -1e999}    None: JSON has no such numbers, and no table or message could hold them
    [[[…]]] of more than 64 levels           ValueError: walking or writing it would end in a RecursionError
    {"content": "4", "content": "5"}         ValueError: a reader would have to drop one of them

So what `read_json` returns can be walked, compared and written as JSON again.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

DEEPEST = 64  # levels of lists and objects; a completion with log-probabilities has seven


def read_json(text: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON, or none that can be used; the message says which.
    """
    try:
        value = json.loads(
            text, parse_constant=lambda _: None, parse_float=_finite, object_pairs_hook=_without_duplicates
        )
    except _DuplicateError as e:
        raise ValueError(f"an object has the key {e.args[0][:40]!r} twice, with different values") from None
    except RecursionError:
        raise ValueError(_too_deep()) from None
    except ValueError as e:
        raise ValueError("not JSON") from e
    if _may_be_deep(text) and _is_deep(value):
        raise ValueError(_too_deep())
    return value


class _DuplicateError(Exception):
    """Carries the key that comes twice."""


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        for name, value in pairs:
            if found[name] != value:
                raise _DuplicateError(name)
    return found


def _too_deep() -> str:
    return f"JSON of more than {DEEPEST} levels"


def _may_be_deep(text: bytes | str) -> bool:
    """Whether there are enough brackets; nearly all replies have fewer, and need not be walked."""
    if isinstance(text, bytes):
        return text.count(b"[") + text.count(b"{") > DEEPEST
    return text.count("[") + text.count("{") > DEEPEST


def _is_deep(value: Any) -> bool:
    """Walks level by level, without recursion."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inner(one)]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


def _inner(one: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one
