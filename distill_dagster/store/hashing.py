"""Hashes: of texts, of rows, and the canonical JSON that they are taken of."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

VOLATILE = frozenset({"latency_ms", "cost_usd", "attempts", "created_at"})


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces: the text that is hashed."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def storable(text: str) -> str:
    """`text` with U+FFFD for each half of a surrogate pair, which a model can write and no table can hold."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sha256(text: str | bytes) -> str:
    """Hex SHA-256 of a text (as UTF-8) or of bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).hexdigest()


def row_id_of(messages: Sequence[Mapping[str, str]]) -> str:
    """The id of a row whose user gave none: 16 hex digits of the hash of its canonical messages.

    Each holds `role` and `content` alone. Of text, orjson writes what `canonical_json` writes.
    """
    return sha256(orjson.dumps(list(messages), option=orjson.OPT_SORT_KEYS))[:16]


def rows_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """Content hash of rows in their order, without what differs between two equal runs (times, cost).

    It is taken over the rows and not over the parquet file, in which a new pyarrow would look like new data.
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(
            canonical_json({k: v for k, v in row.items() if k not in VOLATILE}).encode("utf-8", "surrogatepass")
        )
        digest.update(b"\n")
    return digest.hexdigest()
