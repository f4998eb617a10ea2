"""The sorted raw rows, read a row group at a time: by id, in blocks, those of validation, a sample of each task."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from distill_dagster.quality.columns import RAW_USED, value_counts
from distill_dagster.quality.duplicates.contamination import template_sample
from distill_dagster.quality.spill import BLOCK, BLOCK_BYTES
from distill_dagster.store import parquet
from distill_dagster.store.hashing import canonical_json

SAMPLE = 2_000  # rows of a task from which its template is taken

Row = Mapping[str, Any]


def rows_of(raw: Path) -> Iterator[dict[str, Any]]:
    for table in parquet.stream_tables(raw, RAW_USED.names):
        yield from table.to_pylist()


def by_id(rows: Iterable[Row]) -> Iterator[tuple[Row, frozenset[str]]]:
    """The first row of each id, and the shards if different rows have it."""
    for _, copies in groupby(rows, key=itemgetter("row_id")):
        first = next(copies)
        yield first, _conflict(first, copies)  # noqa: B031  # the rest of the group


def _conflict(first: Row, copies: Iterable[Row]) -> frozenset[str]:
    """The shards of the rows that differ from the first one, and its own; none if all are copies of it."""
    others = {row["shard"] for row in copies if _content(row) != _content(first)}
    return frozenset(others | {first["shard"]} if others else ())


def blocks_of(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """At most `BLOCK` rows, and about `BLOCK_BYTES` of their texts."""
    block, size = list[Row](), 0
    for row in rows:
        block.append(row)
        size += sum(len(message["content"]) for message in row["messages"])
        if len(block) == BLOCK or size > BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def tasks_of(raw: Path) -> Counter[str]:
    """Task -> rows."""
    counts = Counter[str]()
    for table in parquet.stream_tables(raw, ["task"]):
        counts += value_counts(table.column("task"))
    return counts


def template_in(raw: Path, tasks: Counter[str]) -> frozenset[str]:
    """The template shingles of all tasks, from rows at even steps in the order of row ids."""
    seen, samples = Counter[str](), list[Row]()
    for table in parquet.stream_tables(raw, ["task", "messages"]):
        names = np.array(table.column("task").to_pylist())
        for task in set(names.tolist()):
            own, step = np.flatnonzero(names == task), max(1, tasks[task] // SAMPLE)
            samples += table.take(pa.array(own[(np.arange(len(own)) + seen[task]) % step == 0])).to_pylist()
            seen[task] += len(own)
    return template_sample(samples)


def validation_rows(raw: Path) -> Iterator[Row]:
    for table in parquet.stream_tables(raw, ["row_id", "split", "task", "messages"]):
        yield from (row for row in table.to_pylist() if row["split"] == "validation")


def _content(row: Row) -> str:
    """Equal for copies of one raw row."""
    return canonical_json([row["task"], row["messages"], list(row["reference"] or ())])
