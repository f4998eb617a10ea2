"""Hashes of texts and rows, and the canonical JSON that is hashed."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

LATER = frozenset({"not_gold"})  # null and absent are equal, as in rows of stores that did not have the column
VOLATILE = frozenset({"latency_ms", "cost_usd", "attempts", "created_at"})


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces, which is the text that is hashed."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def storable(text: str) -> str:
    """`text` with U+FFFD in place of each lone surrogate: a model can write one, and no table can hold it."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sha256(text: str | bytes) -> str:
    """Hex SHA-256 of a text (as UTF-8) or of bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).hexdigest()


def row_id_of(messages: Sequence[Mapping[str, str]]) -> str:
    """The id of a row that has none of its own: the first 16 hex digits of the hash of its canonical messages.

    Each message holds only `role` and `content`. For text, orjson writes the same bytes as `canonical_json`.
    """
    return sha256(orjson.dumps(list(messages), option=orjson.OPT_SORT_KEYS))[:16]


def prompt_hash(messages: Sequence[Mapping[str, str]]) -> str:
    """Identifies the prompt of a row, without earlier answers of the assistant and before prompting and template."""
    return row_id_of([{"role": m["role"], "content": m["content"]} for m in messages if m["role"] != "assistant"])


def rows_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """Hash of the rows' content in their order, without the fields that differ between two equal runs (times, cost).

    It hashes the rows and not the parquet file, since another version of pyarrow writes other bytes for the same rows.
    """
    digest = hashlib.sha256()
    for row in rows:
        hashed = {k: v for k, v in row.items() if k not in VOLATILE and (v is not None or k not in LATER)}
        digest.update(canonical_json(hashed).encode("utf-8", "surrogatepass"))
        digest.update(b"\n")
    return digest.hexdigest()
