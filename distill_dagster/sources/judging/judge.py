"""Every rule that looks at one row alone, on a batch of rows: what comes out is columns, not an object a row.

    lines     [Line(1, b'{"messages": [user "Hi"]}', 25), Line(2, b"{}", 2)]
    judged    table of one raw row; the bytes that its hash is taken of; digests of its content and of its id;
              one reject row, E002

A `Judge` knows nothing of other batches, so two processes can each judge their own (helper.py). What depends on other
rows, E011, is judged by whoever puts the batches together, from the digests.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from distill_dagster.config import DataConfig, TaskName
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.files.lines import Line
from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.registry import reader
from distill_dagster.sources.judging.decoding import Decoded, decode
from distill_dagster.sources.judging.duplicates import digest
from distill_dagster.sources.judging.raw_rows import RawRows, make_reject
from distill_dagster.sources.judging.rules import Finding, findings, is_flawless


class Judged(NamedTuple):
    """A batch of lines: n valid rows as columns, and the rejects. Columns of bytes are in one piece."""

    table: pa.Table  # records.RAW, n rows
    hashed: bytes  # what records.rows_hash hashes of the rows
    ends: list[int]  # n: where each row ends in it
    contents: bytes  # n digests of task, messages and reference
    ids: bytes  # n digests of the row id
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
        rows, rejects = RawRows(self.source, self.data), []
        for line in lines:
            item = decode(line, self.data.max_row_bytes)
            if found := self._judge(item, read, rows):
                rejects.append(make_reject(item, self.source.key, found))
        return Judged(
            table=rows.table(),
            hashed=b"".join(rows.hashed),
            ends=list(itertools.accumulate(map(len, rows.hashed))),
            contents=b"".join(rows.contents),
            ids=b"".join([digest(row_id.encode()) for row_id in rows.row_ids]),
            given=rows.given,
            rejects=rejects,
        )

    def _judge(self, item: Decoded, read: Callable[[dict[str, Any]], Draft], rows: RawRows) -> list[Finding]:
        """Add a line's raw row to `rows`, or say what is wrong with it."""
        if item.row is None:
            return [("E001", item.problem)]
        draft = read(item.row)
        task = self.task if draft.task is None else draft.task
        if not is_flawless(draft, task, self.data.require_system):
            found = findings(draft, task, self.data.require_system)
            if found:
                return found
        rows.add(draft, task, item.line.number)
        return []
