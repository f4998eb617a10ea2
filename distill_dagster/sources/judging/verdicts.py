"""Turns a source file into raw rows and rejects, batch by batch; every row becomes one or the other, and is counted.

    line   {"id": "a", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    row    row_id "a", messages [user "Hi"], reference ["Hello"], source_line 1     (a single-turn task)

A bad row is rejected under the code of its first fault, with all of its faults in the message, and reading goes on.
Only digests (duplicates.py) and counts of earlier rows are kept, so memory grows with the file by 48 bytes a row.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from distill_dagster.config import DataConfig, TaskName
from distill_dagster.errors import DataError
from distill_dagster.sources.files.discovery import SourceFile, require_key
from distill_dagster.sources.files.lines import Line
from distill_dagster.sources.files.rows import read_source
from distill_dagster.sources.formats.registry import FIRST_ROWS, detect
from distill_dagster.sources.judging.decoding import decode
from distill_dagster.sources.judging.duplicates import Seen
from distill_dagster.sources.judging.judge import Judge, Judged
from distill_dagster.sources.judging.raw_rows import make_reject
from distill_dagster.sources.judging.second_process import judge_all

BATCH_ROWS = 2_000
BATCH_BYTES = 1 << 22  # of JSON text; a batch of long rows ends here


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file in their order; each of them is in `rows` or in `rejects`."""

    lines: list[Line]  # all of them, as they were read
    rows: pa.Table  # schemas.RAW
    hashed: bytes  # what hashing.rows_hash hashes of the rows
    contents: bytes  # a digest of 16 bytes for each row: its task, messages and reference
    rejects: list[dict[str, Any]]  # schemas.REJECT


class SourceReading:
    """One pass over a source file. `task` applies to every row that names none.

    Iteration yields the batches, and raises a DataError if the file cannot be read to its end, is empty, holds no
    valid row, or has a name that cannot be a key. `counts` covers the rows read so far: lines == rows + rejected, and
    one entry for each code.
    """

    def __init__(self, source: SourceFile, data: DataConfig, task: TaskName) -> None:
        self.source, self.data = source, data
        self.task: TaskName = task
        self.form = data.format
        self._seen = Seen()
        self._rows = 0
        self._codes: Counter[str] = Counter()
        self._first_reject: dict[str, Any] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """lines, rows, rejected, and rejected rows by code."""
        rejected = self._codes.total()
        return {
            "lines": self._rows + rejected,
            "rows": self._rows,
            "rejected": rejected,
            **dict(sorted(self._codes.items())),
        }

    def __iter__(self) -> Iterator[Batch]:
        require_key(self.source)
        limit = self.data.max_row_bytes
        lines = read_source(self.source.url, limit)
        head = list(itertools.islice(lines, FIRST_ROWS))
        if self.form == "auto":
            self.form = detect(row for line in head if (row := decode(line, limit).row) is not None)
        judge = Judge(self.source, self.data, self.task, self.form)
        for items, judged in judge_all(judge, _batches(itertools.chain(head, lines))):
            batch = self._without_duplicates(items, judged)
            self._rows += batch.rows.num_rows
            self._codes.update(reject["code"] for reject in batch.rejects)
            self._first_reject = self._first_reject or next(iter(batch.rejects), None)
            yield batch
        if not self._rows:
            raise DataError(self._nothing_valid())

    def _without_duplicates(self, lines: list[Line], judged: Judged) -> Batch:
        """Apply E011 to the rows that are otherwise valid."""
        problems = self._seen.problems(judged)
        if not problems:
            return Batch(lines, judged.table, judged.hashed, judged.contents, judged.rejects)
        runs = list(_runs_without(problems, judged.table.num_rows))
        ends = [0, *judged.ends]
        numbers = judged.table["source_line"]
        found = {numbers[n].as_py(): problem for n, problem in problems.items()}
        repeated = [
            make_reject(decode(line, self.data.max_row_bytes), self.source.key, [("E011", found[line.number])])
            for line in lines
            if line.number in found
        ]
        return Batch(
            lines,
            pa.concat_tables([judged.table.slice(start, stop - start) for start, stop in runs]),
            b"".join(judged.hashed[ends[start] : ends[stop]] for start, stop in runs),
            b"".join(judged.contents[16 * start : 16 * stop] for start, stop in runs),
            sorted([*judged.rejects, *repeated], key=lambda reject: reject["line"]),
        )

    def _nothing_valid(self) -> str:
        """The message for a file without a valid row."""
        url, first = self.source.url, self._first_reject
        if first is None:
            return f"{url} is empty; write rows into it, or leave it out"
        by_code = ", ".join(f"{code} {count:,}" for code, count in sorted(self._codes.items()))
        return (
            f"{url}: none of {self._codes.total():,} rows is valid, read as {self.form} ({by_code}); "
            f"line {first['line']}: {first['message']}"
        )


def _runs_without(dropped: Iterable[int], rows: int) -> Iterator[tuple[int, int]]:
    """The runs of 0 … `rows` - 1 between the dropped places, as (start, stop); some may be empty."""
    start = 0
    for place in sorted(dropped):
        yield start, place
        start = place + 1
    yield start, rows


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """At most `BATCH_ROWS` rows at once, fewer if they are long."""
    batch, size = [], 0
    for line in lines:
        batch.append(line)
        size += len(line.data or b"")
        if len(batch) == BATCH_ROWS or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
