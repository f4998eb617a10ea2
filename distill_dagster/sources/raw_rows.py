"""What becomes of one row: a raw row where it is valid, a reject row where it is not.

{"id": "a", "messages": [user "Hi", assistant "Hello"], "lang": "en"}       line 7 of a single-turn task
row_id "a", messages [user "Hi"], reference ["Hello"], source_line 7, meta '{"lang":"en"}'
"""

from typing import Any

from distill_dagster.config import DataConfig
from distill_dagster.records import canonical_json, row_id_of, sha256
from distill_dagster.sources.chat import Draft
from distill_dagster.sources.decoding import Decoded
from distill_dagster.sources.discovery import SourceFile
from distill_dagster.sources.rules import Finding
from distill_dagster.tasks import TASKS

STAGE = "raw_dataset"
SNIPPET = 200  # characters of a rejected row that are kept
MESSAGE_KEYS = {"role", "content"}


def make_raw_row(draft: Draft, task: str, line: int, source: SourceFile, data: DataConfig) -> dict[str, Any]:
    """A valid draft as a row of records.RAW; a gold answer that ends a single-turn row moves into `reference`."""
    messages, meta = _messages(draft)
    reference = [str(value) for value in _as_list(draft.reference)]
    if TASKS[task].single_turn and messages[-1]["role"] == "assistant":
        gold, messages = messages[-1]["content"], messages[:-1]
        if not reference:
            reference = [gold]
        elif gold not in reference:
            meta.setdefault("assistant", gold)
    row_id = str(draft.identity) if draft.identity is not None else row_id_of(messages)
    group = None if draft.group is None else str(draft.group)
    return {
        "row_id": row_id,
        "shard": source.key,
        "split": _split(source, data, group or row_id),
        "task": task,
        "messages": messages,
        "reference": reference,
        "group": group,
        "source_line": line,
        "meta": canonical_json(meta) if meta else "{}",
    }


def make_reject(item: Decoded, shard: str, found: list[Finding]) -> dict[str, Any]:
    """A row of records.REJECT, under the first finding's code."""
    return {
        "shard": shard,
        "line": item.line.number,
        "row_id": _own_id(item),
        "stage": STAGE,
        "code": found[0][0],
        "message": said(found),
        "snippet": snippet(item),
    }


def said(found: list[Finding]) -> str:
    """All findings in one text."""
    return "; ".join(f"{code}: {message}" for code, message in found)


def snippet(item: Decoded) -> str:
    """The beginning of a row's text."""
    return (item.line.data or b"")[: SNIPPET * 4].decode("utf-8", "replace")[:SNIPPET]


def _messages(draft: Draft) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Role and content of each message, and the row's meta with what else the messages held."""
    meta = draft.meta or {}
    if max(map(len, draft.messages)) == 2:
        return draft.messages, meta
    extras = {
        str(n): {k: v for k, v in message.items() if k not in MESSAGE_KEYS}
        for n, message in enumerate(draft.messages)
        if len(message) > 2
    }
    meta.setdefault("messages", extras)
    return [{"role": message["role"], "content": message["content"]} for message in draft.messages], meta


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _split(source: SourceFile, data: DataConfig, unit: str) -> str:
    """The file's split; without validation files a share of the training groups, chosen by hash, is held out."""
    if source.split != "train" or data.validation or not data.validation_share:
        return source.split
    place = int(sha256(f"validation:{unit}")[:13], 16) / 16**13  # in [0, 1)
    return "validation" if place < data.validation_share else "train"


def _own_id(item: Decoded) -> str | None:
    """The id that a rejected row gives itself, if it is one."""
    given = item.row.get("id") if item.row is not None else None
    return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else None
