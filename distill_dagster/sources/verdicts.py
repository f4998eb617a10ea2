"""A source file into raw rows and rejects: every line becomes one or the other, and the counts say so.

    line   {"id": "a", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    row    row_id "a", messages [user "Hi"], reference ["Hello"], source_line 1     (a single-turn task)

A bad row is rejected under its first error's code, with all of its errors in the message, and the rest goes on.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from distill_dagster.config import DataConfig, TaskName
from distill_dagster.errors import DataError
from distill_dagster.records import canonical_json, row_id_of, sha256
from distill_dagster.sources.chat import Draft
from distill_dagster.sources.discovery import SourceFile
from distill_dagster.sources.formats import FIRST_ROWS, detect, reader
from distill_dagster.sources.lines import Line, read_lines
from distill_dagster.sources.rules import Finding, findings
from distill_dagster.tasks import TASKS

STAGE = "raw_dataset"
SNIPPET = 200  # characters of a rejected line that are kept
MESSAGE_KEYS = {"role", "content"}
DEEPEST = 50  # levels of nesting; far below what makes json and repr fail
TOO_DEEP = f"the line is nested more than {DEEPEST} levels deep"


@dataclass(frozen=True, slots=True)
class Shard:
    """What a source file holds: `counts` has lines == rows + rejected, and one entry a code."""

    rows: list[dict[str, Any]]  # records.RAW
    rejects: list[dict[str, Any]]  # records.REJECT
    counts: dict[str, int]


class Decoded(NamedTuple):
    """A line and the object in it, or the reason why there is none."""

    line: Line
    row: dict[str, Any] | None
    problem: str


@dataclass(slots=True)
class Seen:
    """Rows that a file has held so far, to tell duplicates by."""

    content: dict[tuple[Any, ...], int] = field(default_factory=dict)  # task, messages, reference -> line
    ids: dict[str, int] = field(default_factory=dict)  # row_id -> line

    def refuse(self, row: dict[str, Any], given: bool) -> list[Finding]:
        """E011 for a row that is there already, or whose id is; otherwise the row is remembered."""
        content = (row["task"], *((m["role"], m["content"]) for m in row["messages"]), *row["reference"])
        line, row_id = row["source_line"], row["row_id"]
        if content in self.content:
            return [("E011", f"the row is the same as line {self.content[content]}")]
        if row_id in self.ids:
            other = self.ids[row_id]
            if given:
                return [("E011", f"id {row_id!r} is that of line {other} too, which is another row")]
            clash = f"the messages are those of line {other}, with another reference or task"
            return [("E011", f"{clash}; give the rows ids, or merge them")]
        self.content[content], self.ids[row_id] = line, line
        return []


def read_shard(source: SourceFile, data: DataConfig, task: TaskName) -> Shard:
    """Read and judge a file. `task` is that of every row that does not name its own.

    Raises:
        DataError: the file cannot be read to its end, is empty, or holds no valid row.
    """
    decoded = (decode(line, data.max_row_bytes) for line in read_lines(source.url, data.max_row_bytes))
    head = list(itertools.islice(decoded, FIRST_ROWS))
    form = data.format if data.format != "auto" else detect(d.row for d in head if d.row is not None)
    rows, rejects, seen = [], [], Seen()
    for item in itertools.chain(head, decoded):
        row, found = _judge(item, source, data, task, reader(form), seen)
        if row is not None:
            rows.append(row)
        else:
            rejects.append(_reject(item, source.key, found, row_id=_own_id(item)))
    codes = Counter(reject["code"] for reject in rejects)
    counts = {
        "lines": len(rows) + len(rejects),
        "rows": len(rows),
        "rejected": len(rejects),
        **dict(sorted(codes.items())),
    }
    if not rows:
        raise DataError(_nothing_valid(source, form, rejects, codes))
    return Shard(rows, rejects, counts)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def decode(line: Line, limit: int) -> Decoded:
    """The JSON object of a line, or why there is none (E001)."""
    if line.data is None:
        return Decoded(line, None, f"the line has {line.size:,} bytes; data.max_row_bytes is {limit:,}")
    try:
        text = line.data.decode("utf-8")
        row = _decoder.decode(text)
        if "\\ud" in text or "\\uD" in text:
            canonical_json(row).encode("utf-8")  # half a surrogate pair cannot be stored
    except UnicodeDecodeError as e:
        return Decoded(line, None, f"byte {e.start + 1} of the line is not UTF-8: {e.reason}")
    except UnicodeEncodeError:
        return Decoded(line, None, "the line holds half a surrogate pair (\\ud800 to \\udfff), which is no character")
    except RecursionError:
        return Decoded(line, None, TOO_DEEP)
    except ValueError as e:
        return Decoded(line, None, f"the line is not JSON: {e}")
    if not isinstance(row, dict):
        return Decoded(line, None, f"the line is a JSON {type(row).__name__}, an object is expected")
    brackets = text.count("[") + text.count("{")
    return Decoded(line, None, TOO_DEEP) if brackets > DEEPEST and _is_deep(row) else Decoded(line, row, "")


def _is_deep(value: Any) -> bool:
    """Whether lists and objects are nested more than `DEEPEST` levels."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            child for v in level if isinstance(v, dict | list) for child in (v.values() if isinstance(v, dict) else v)
        ]
    return any(isinstance(v, dict | list) for v in level)


def _judge(
    item: Decoded,
    source: SourceFile,
    data: DataConfig,
    task: TaskName,
    read: Callable[[dict[str, Any]], Draft],
    seen: Seen,
) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The raw row of a line, or what is wrong with it."""
    if item.row is None:
        return None, [("E001", item.problem)]
    draft = read(item.row)
    own_task = task if draft.task is None else draft.task
    found = findings(draft, own_task, data.require_system)
    if found:
        return None, found
    row = _raw_row(draft, own_task, item.line.number, source, data)
    found = seen.refuse(row, given=draft.identity is not None)
    return (None, found) if found else (row, [])


def _raw_row(draft: Draft, task: str, line: int, source: SourceFile, data: DataConfig) -> dict[str, Any]:
    """A valid draft as a raw row; a gold answer that ends a single-turn row moves into `reference`."""
    meta = dict(draft.meta or {})
    messages, extras = [], {}
    for position, message in enumerate(draft.messages):
        messages.append({"role": message["role"], "content": message["content"]})
        if len(message) > 2:
            extras[str(position)] = {k: v for k, v in message.items() if k not in MESSAGE_KEYS}
    if extras:
        meta.setdefault("messages", extras)
    reference = [str(value) for value in _as_list(draft.reference)]
    if TASKS[task].single_turn and messages[-1]["role"] == "assistant":
        gold = messages.pop()["content"]
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


def _reject(item: Decoded, shard: str, found: list[Finding], row_id: str | None) -> dict[str, Any]:
    """The reject row of a line."""
    return {
        "shard": shard,
        "line": item.line.number,
        "row_id": row_id,
        "stage": STAGE,
        "code": found[0][0],
        "message": "; ".join(f"{code}: {message}" for code, message in found),
        "snippet": (item.line.data or b"")[: SNIPPET * 4].decode("utf-8", "replace")[:SNIPPET],
    }


def _nothing_valid(source: SourceFile, form: str, rejects: list[dict[str, Any]], codes: Counter[str]) -> str:
    """What to say of a file without a valid row."""
    if not rejects:
        return f"{source.url} is empty; write rows into it, or take it out of data.{source.split}"
    by_code: Iterable[str] = (f"{code} {count:,}" for code, count in sorted(codes.items()))
    first = rejects[0]
    return (
        f"{source.url}: none of {len(rejects):,} rows is valid, read as {form} ({', '.join(by_code)}); "
        f"line {first['line']}: {first['message']}"
    )
