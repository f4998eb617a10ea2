"""Makes a raw row of a valid row, and a reject row of an invalid one.

{"id": "a", "messages": [user "Hi", assistant "Hello"], "lang": "en"}       line 7 of a single-turn task
row_id "a", messages [user "Hi"], reference ["Hello"], source_line 7, meta '{"lang":"en"}'
"""

from hashlib import sha256 as hash_of
from typing import Any

import orjson
import pyarrow as pa

from distill_dagster.config import DataConfig
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.judging.decoding import Decoded
from distill_dagster.sources.judging.duplicates import content_digest
from distill_dagster.sources.judging.rules import Fault
from distill_dagster.store import schemas
from distill_dagster.store.hashing import canonical_json, sha256
from distill_dagster.tasks import TASKS

STAGE = "raw_dataset"
SNIPPET = 200  # characters of a rejected row that are kept
MESSAGE_KEYS = {"role", "content"}
NO_CONTROLS = dict.fromkeys([*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)], "\ufffd")  # all but tab and newline
_PLAIN = ("row_id", "split", "task", "not_gold", "group", "source_line", "meta")  # columns with one value for each row


class RawRows:
    """Valid rows of one file as the columns of schemas.RAW, with the bytes that are hashed.

    Rows go straight into columns: to build a dictionary for each row and then a table takes twice as long. A row's
    messages are written as JSON once, which serves its id, its digest and the hash of all rows.
    """

    def __init__(self, source: SourceFile, data: DataConfig) -> None:
        self.given: list[bool] = []  # whether the row brought its own id
        self.contents: list[bytes] = []  # digest of task, messages and reference
        self.hashed: list[bytes] = []  # what hashing.rows_hash hashes
        self._source, self._data = source, data
        self._columns: list[list[Any]] = [[] for _ in _PLAIN]
        self._roles: list[str] = []  # of all messages of all rows
        self._texts: list[str] = []
        self._message_ends = [0]  # where each row's messages end
        self._references: list[str] = []
        self._reference_ends = [0]

    def add(self, draft: Draft, task: str, line: int) -> None:
        """Add a valid draft; a gold answer that ends a single-turn row moves into `reference`."""
        messages, reference, meta = _parts(draft, task)
        written = self._add_messages(messages)
        row_id = sha256(written)[:16] if draft.identity is None else str(draft.identity)  # as hashing.row_id_of
        group = None if draft.group is None else str(draft.group)
        split = _split(self._source, self._data, group or row_id)
        not_gold = _not_gold(draft, task)
        rest = {
            "meta": canonical_json(meta) if meta else "{}",
            **({"not_gold": not_gold} if not_gold else {}),
            "reference": reference,
            "row_id": row_id,
            "shard": self._source.key,
            "source_line": line,
            "split": split,
            "task": task,
        }
        self.given.append(draft.identity is not None)
        self.contents.append(content_digest(task, written, reference, not_gold))
        self.hashed.append(hashed_bytes(group, written, rest))
        plain = (row_id, split, task, not_gold, group, line, rest["meta"])
        for values, value in zip(self._columns, plain, strict=True):
            values.append(value)
        self._references += reference
        self._reference_ends.append(len(self._references))

    def _add_messages(self, messages: list[dict[str, str]]) -> bytes:
        """Add a row's messages; returns them as `hashing.canonical_json` writes them."""
        pieces = []
        for message in messages:
            role, text = message["role"], message["content"]
            self._roles.append(role)
            self._texts.append(text)
            pieces.append(b'{"content":%b,"role":"%b"}' % (orjson.dumps(text), role.encode()))
        self._message_ends.append(len(self._roles))
        return b"[%b]" % b",".join(pieces)

    @property
    def row_ids(self) -> list[str]:
        """The ids, in the order of the rows."""
        return self._columns[_PLAIN.index("row_id")]

    def table(self) -> pa.Table:
        """The rows, under schemas.RAW."""
        message = schemas.MESSAGES.value_type
        messages = pa.StructArray.from_arrays(
            [pa.array(self._roles, pa.string()), pa.array(self._texts, pa.string())], fields=list(message)
        )
        columns = {
            "shard": pa.repeat(pa.scalar(self._source.key, pa.string()), len(self.given)),
            "messages": _lists(self._message_ends, messages),
            "reference": _lists(self._reference_ends, pa.array(self._references, pa.string())),
            **{
                name: pa.array(own, schemas.RAW.field(name).type)
                for name, own in zip(_PLAIN, self._columns, strict=True)
            },
        }
        return pa.Table.from_arrays([columns[name] for name in schemas.RAW.names], schema=schemas.RAW)


def hashed_bytes(group: str | None, messages: bytes, rest: dict[str, Any]) -> bytes:
    """What `hashing.rows_hash` hashes of a row: its group, its messages as JSON, and the other fields in their order.

    orjson writes text and small integers as json does.
    """
    return b'{"group":%b,"messages":%b,%b' % (
        b"null" if group is None else orjson.dumps(group),
        messages,
        orjson.dumps(rest, option=orjson.OPT_APPEND_NEWLINE)[1:],
    )


def _lists(ends: list[int], values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)


def _parts(draft: Draft, task: str) -> tuple[list[dict[str, str]], list[str], dict[str, Any]]:
    """Messages, gold answers and meta."""
    messages, meta = _messages(draft)
    reference = [str(value) for value in _as_list(draft.reference)]
    if not TASKS[task].single_turn:
        return messages, reference, meta
    if messages[-1]["role"] == "assistant":
        gold, messages = messages[-1]["content"], messages[:-1]
        if len(messages) in draft.not_gold:
            meta.setdefault("assistant", gold)
        elif not reference:
            reference = [gold]
        elif gold not in reference:
            meta.setdefault("assistant", gold)
    return messages, reference, meta


def _not_gold(draft: Draft, task: str) -> list[int] | None:
    """The places of a conversation's turns that are no gold answers; their texts stay, for the turns behind them."""
    return None if TASKS[task].single_turn else sorted(draft.not_gold) or None


def make_reject(item: Decoded, shard: str, found: list[Fault]) -> dict[str, Any]:
    """A row of schemas.REJECT, under the first fault's code."""
    return {
        "shard": shard,
        "line": item.line.number,
        "row_id": _own_id(item),
        "stage": STAGE,
        "code": found[0][0],
        "message": fault_text(found),
        "snippet": snippet(item),
    }


def fault_text(found: list[Fault]) -> str:
    """All faults as one text."""
    return "; ".join(f"{code}: {message}" for code, message in found)


def snippet(item: Decoded) -> str:
    """The beginning of a row's text, fit for a terminal: a control character is shown as U+FFFD."""
    return (item.line.data or b"")[: SNIPPET * 4].decode("utf-8", "replace")[:SNIPPET].translate(NO_CONTROLS)


def _messages(draft: Draft) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Role and content of each message, and the row's meta with the other keys of the messages."""
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
    """The file's split; without validation files, a hash chooses a share of the training groups for validation."""
    if source.split != "train" or data.validation or not data.validation_share:
        return source.split
    digest = hash_of(f"validation:{unit}".encode()).digest()
    place = (int.from_bytes(digest[:7]) >> 4) / 16**13  # in [0, 1): its first 13 hex digits
    return "validation" if place < data.validation_share else "train"


def _own_id(item: Decoded) -> str | None:
    """The id of a rejected row, if its `id` is text or a whole number."""
    given = item.row.get("id") if item.row is not None else None
    return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else None
