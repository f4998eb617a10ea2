"""All rules that look at single rows, applied to a batch; the result is columns, not one object for each row.

    lines     [Line(1, b'{"messages": [user "Hi"]}', 25), Line(2, b"{}", 2)]
    judged    table of one raw row; the bytes for its hash; digests of its content and of its id; one reject row, E002

A `Judge` knows nothing about other batches, so two processes can share the batches of a file (second_process.py). E011
depends on other rows; `SourceReading` decides it from the digests.
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
from distill_dagster.sources.formats.registry import complete, reader
from distill_dagster.sources.judging.decoding import Decoded, decode
from distill_dagster.sources.judging.duplicates import digest
from distill_dagster.sources.judging.raw_rows import RawRows, make_reject
from distill_dagster.sources.judging.rules import Fault, faults, is_flawless


class Judged(NamedTuple):
    """The verdicts on a batch of lines: n valid rows as columns, and the rejects. Byte columns are concatenated."""

    table: pa.Table  # schemas.RAW, n rows
    hashed: bytes  # what hashing.rows_hash hashes of the rows
    ends: list[int]  # n: where each row ends in `hashed`
    contents: bytes  # n digests of task, messages and reference
    ids: bytes  # n digests of the row id
    given: list[bool]  # n: whether the row brought its own id
    rejects: list[dict[str, Any]]  # schemas.REJECT


@dataclass(frozen=True, slots=True)
class Judge:
    """The rules for one source file. `task` applies to every row that names none."""

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

    def _judge(self, item: Decoded, read: Callable[[dict[str, Any]], Draft], rows: RawRows) -> list[Fault]:
        """Add a line's raw row to `rows`, or return what is wrong with it."""
        if item.row is None:
            return [("E001", item.problem)]
        draft = read(item.row)
        task = self.task if draft.task is None else draft.task
        if not is_flawless(draft, task, self.data.require_system):
            complete(draft, self.data.meta_keys)
            found = faults(draft, task, self.data.require_system)
            if found:
                return found
        rows.add(draft, task, item.line.number)
        return []
