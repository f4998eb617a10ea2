"""A source file into raw rows and rejects, batch by batch: every row becomes one or the other, and the counts say so.

    line   {"id": "a", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    row    row_id "a", messages [user "Hi"], reference ["Hello"], source_line 1     (a single-turn task)

A bad row is rejected under its first error's code, with all of its errors in the message, and the rest goes on. What
is kept of rows that are done with is their digests (duplicates.py) and the counts, so memory does not grow with the
file beyond 48 bytes a row.
"""

import contextlib
import gc
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from distill_dagster.config import DataConfig, TaskName
from distill_dagster.errors import DataError
from distill_dagster.sources.chat import Draft
from distill_dagster.sources.decoding import Decoded
from distill_dagster.sources.discovery import SourceFile
from distill_dagster.sources.duplicates import Seen
from distill_dagster.sources.formats import FIRST_ROWS, detect, reader
from distill_dagster.sources.raw_rows import make_raw_row, make_reject
from distill_dagster.sources.rows import read_rows
from distill_dagster.sources.rules import Finding, findings, is_flawless

BATCH_ROWS = 2_000
BATCH_BYTES = 1 << 24  # of JSON text: long rows make short batches


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file in their order, each of which is in `rows` or in `rejects`."""

    source: list[Decoded]  # the rows as they were read
    rows: list[dict[str, Any]]  # records.RAW
    rejects: list[dict[str, Any]]  # records.REJECT


class Reading:
    """One pass over a source file. `task` is that of every row that does not name its own.

    Iterating gives the batches, and raises a DataError where the file cannot be read to its end, is empty, or holds no
    valid row. `counts` are of what was read so far: lines == rows + rejected, and one entry a code.
    """

    def __init__(self, source: SourceFile, data: DataConfig, task: TaskName) -> None:
        self.source, self.data, self.task = source, data, task
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
        decoded = read_rows(self.source.url, self.data.max_row_bytes)
        head = list(itertools.islice(decoded, FIRST_ROWS))
        if self.form == "auto":
            self.form = detect(d.row for d in head if d.row is not None)
        read = reader(self.form)
        batches = _batches(itertools.chain(head, decoded))
        while True:
            with uncollected():
                items = next(batches, None)
                batch = self._judge_batch(items, read) if items else None
            if batch is None:
                break
            self._rows += len(batch.rows)
            self._codes.update(reject["code"] for reject in batch.rejects)
            self._first_reject = self._first_reject or next(iter(batch.rejects), None)
            yield batch
        if not self._rows:
            raise DataError(self._nothing_valid())

    def _judge_batch(self, items: list[Decoded], read: Callable[[dict[str, Any]], Draft]) -> Batch:
        """Every rule on every row, and E011 last, on those that are otherwise valid."""
        rejects: list[dict[str, Any]] = []
        valid: list[tuple[Decoded, dict[str, Any], bool]] = []
        for item in items:
            row, found, given = self._judge(item, read)
            if row is None:
                rejects.append(make_reject(item, self.source.key, found))
            else:
                valid.append((item, row, given))
        problems = self._seen.problems([row for _, row, _ in valid], [given for _, _, given in valid])
        rows = []
        for (item, row, _), problem in zip(valid, problems, strict=True):
            if problem:
                rejects.append(make_reject(item, self.source.key, [("E011", problem)]))
            else:
                rows.append(row)
        return Batch(items, rows, sorted(rejects, key=lambda reject: reject["line"]))

    def _judge(
        self, item: Decoded, read: Callable[[dict[str, Any]], Draft]
    ) -> tuple[dict[str, Any] | None, list[Finding], bool]:
        """The raw row of a line and whether it has an id of its own, or what is wrong with it."""
        if item.row is None:
            return None, [("E001", item.problem)], False
        draft = read(item.row)
        task = self.task if draft.task is None else draft.task
        if not is_flawless(draft, task, self.data.require_system):
            found = findings(draft, task, self.data.require_system)
            if found:
                return None, found, False
        row = make_raw_row(draft, task, item.line.number, self.source, self.data)
        return row, [], draft.identity is not None

    def _nothing_valid(self) -> str:
        """What to say of a file without a valid row."""
        url, first = self.source.url, self._first_reject
        if first is None:
            return f"{url} is empty; write rows into it, or leave it out"
        by_code: Iterable[str] = (f"{code} {count:,}" for code, count in sorted(self._codes.items()))
        return (
            f"{url}: none of {self._codes.total():,} rows is valid, read as {self.form} ({', '.join(by_code)}); "
            f"line {first['line']}: {first['message']}"
        )


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's cycle collector, which finds no cycle among rows and takes a third of the time to look."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _batches(items: Iterator[Decoded]) -> Iterator[list[Decoded]]:
    """At most `BATCH_ROWS` rows at once, and fewer where they are long."""
    batch, size = [], 0
    for item in items:
        batch.append(item)
        size += len(item.line.data or b"")
        if len(batch) == BATCH_ROWS or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
