"""Every rule that looks at one row alone, on a batch of rows: what comes out is columns, not an object a row.

    lines     [Line(1, b'{"messages": [user "Hi"]}', 25), Line(2, b"{}", 2)]
    judged    table of one raw row; the bytes that its hash is taken of; digests of its content and of its id;
              one reject row, E002

A `Judge` knows nothing of other batches, so two processes can each judge their own (helper.py). What depends on other
rows, E011, is judged by whoever puts the batches together, from the digests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from distill_dagster import records
from distill_dagster.config import DataConfig, TaskName
from distill_dagster.sources.chat import Draft
from distill_dagster.sources.decoding import Decoded, decode
from distill_dagster.sources.discovery import SourceFile
from distill_dagster.sources.duplicates import content_digest, digest
from distill_dagster.sources.formats import reader
from distill_dagster.sources.lines import Line
from distill_dagster.sources.raw_rows import make_raw_row, make_reject
from distill_dagster.sources.rules import findings, is_flawless


class Judged(NamedTuple):
    """A batch of lines: n valid rows as columns, and the rejects."""

    table: pa.Table  # records.RAW, n rows
    hashed: list[bytes]  # n: what records.rows_hash hashes of each row
    contents: list[bytes]  # n: digest of task, messages and reference
    ids: list[bytes]  # n: digest of the row id
    given: list[bool]  # n: whether the row brought its own id
    rejects: list[dict[str, Any]]  # records.REJECT


@dataclass(frozen=True, slots=True)
class Judge:
    """The rules of one source file. `task` is that of every row that does not name its own."""

    source: SourceFile
    data: DataConfig
    task: TaskName
    form: str

    def __call__(self, lines: list[Line]) -> Judged:
        """Judge some lines of the file."""
        read = reader(self.form)
        rows, given, rejects = [], [], []
        for line in lines:
            item = decode(line, self.data.max_row_bytes)
            row = self._judge(item, read, given, rejects)
            if row is not None:
                rows.append(row)
        return Judged(
            table=pa.Table.from_pylist(rows, records.RAW),
            hashed=hashed_bytes(rows),
            contents=[content_digest(row) for row in rows],
            ids=[digest(row["row_id"].encode()) for row in rows],
            given=given,
            rejects=rejects,
        )

    def _judge(
        self, item: Decoded, read: Callable[[dict[str, Any]], Draft], given: list[bool], rejects: list[dict[str, Any]]
    ) -> dict[str, Any] | None:
        """The raw row of a line, or None for one that goes to the rejects."""
        if item.row is None:
            rejects.append(make_reject(item, self.source.key, [("E001", item.problem)]))
            return None
        draft = read(item.row)
        task = self.task if draft.task is None else draft.task
        if not is_flawless(draft, task, self.data.require_system):
            found = findings(draft, task, self.data.require_system)
            if found:
                rejects.append(make_reject(item, self.source.key, found))
                return None
        given.append(draft.identity is not None)
        return make_raw_row(draft, task, item.line.number, self.source, self.data)


def hashed_bytes(rows: list[dict[str, Any]]) -> list[bytes]:
    """What `records.rows_hash` hashes of raw rows; of text and small integers, orjson writes what json writes."""
    option = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return [orjson.dumps(row, option=option) for row in rows]
