"""Tables of raw rows and teacher rows, read in a fixed order and one block at a time.

    walk(teacher_table, TEACHER_ORDER)      rows by row id, sample and turn, as dictionaries

A million rows take several gigabytes as dictionaries, and a few hundred megabytes as Arrow tables. So only one block
of `BLOCK` rows at a time exists as dictionaries. Each table is one chunk, because taking rows from one of many chunks
costs time for all of them. Its offsets have 64 bits, since a column of texts may exceed 2 GiB.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute

from distill_dagster.store import schemas

pc: Any = pyarrow.compute  # creates its functions on import, so pyright does not know them

BLOCK = 10_000

# the columns of schemas.RAW and schemas.TEACHER from which the set is made
RAW_USED = pa.schema(
    [
        schemas.RAW.field(name)
        for name in ("row_id", "shard", "split", "task", "messages", "reference", "not_gold", "source_line")
    ]
)
TEACHER_USED = pa.schema(
    [
        schemas.TEACHER.field(name)
        for name in (
            *("row_id", "sample", "turn", "request_hash", "params", "raw_text", "reasoning", "finish_reason"),
            *("completion_tokens", "status", "error_code"),
        )
    ]
)
RAW_ORDER = ("row_id", "-split", "shard", "source_line", "task")  # of equal copies, a held-out one comes first
# a conversation's turns follow one another; the columns after `turn` only break ties
TEACHER_ORDER = (
    *("row_id", "sample", "turn", "status", "finish_reason", "request_hash", "raw_text"),
    *("reasoning", "params", "error_code", "completion_tokens"),
)

Rows = pa.Table | Sequence[dict[str, Any]]


def table_of(rows: Rows, schema: pa.Schema) -> pa.Table:
    """`rows` with only the columns of `schema`, as one chunk."""
    large = pa.schema([(field.name, _large(field.type)) for field in schema])
    if isinstance(rows, Sequence):
        return pa.Table.from_pylist(list(rows), large).combine_chunks()
    return rows.select(schema.names).cast(large).combine_chunks()


def _large(kind: pa.DataType) -> pa.DataType:
    """The type with 64-bit offsets."""
    if pa.types.is_string(kind):
        return pa.large_string()
    if pa.types.is_list(kind):
        return pa.large_list(_large(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _large(field.type)) for field in kind])
    return kind


def ordered(table: pa.Table, order: Sequence[str]) -> pa.Array:
    """Row numbers of `table` sorted by those columns, "-" for descending; null sorts as "" or 0."""
    keys = {}
    for name in order:
        column = table.column(name.lstrip("-"))
        keys[name] = column.fill_null(0 if pa.types.is_integer(column.type) else "")
    return pc.sort_indices(pa.table(keys), [(name, "descending" if name[0] == "-" else "ascending") for name in keys])


def walk(table: pa.Table, places: pa.Array) -> Iterator[dict[str, Any]]:
    """The rows with those numbers, in that order."""
    for block in blocks(table, places):
        yield from block


def blocks(table: pa.Table, places: pa.Array) -> Iterator[list[dict[str, Any]]]:
    """As `walk`, `BLOCK` rows at a time."""
    for start in range(0, len(places), BLOCK):
        yield table.take(places.slice(start, BLOCK)).to_pylist()


def value_counts(column: Any) -> Counter[str]:
    """Value -> how often the column has it; nulls do not count."""
    return Counter({found["values"]: found["counts"] for found in column.drop_null().value_counts().to_pylist()})


class Growing:
    """A table to which rows are appended, `BLOCK` of them at a time as Arrow."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._rows: list[dict[str, Any]] = []
        self._batches: list[pa.RecordBatch] = []

    def append(self, row: dict[str, Any]) -> None:
        """One more row."""
        self._rows.append(row)
        if len(self._rows) == BLOCK:
            self._pack()

    def extend(self, rows: Iterable[dict[str, Any]]) -> None:
        """Some more rows."""
        for row in rows:
            self.append(row)

    def table(self) -> pa.Table:
        """All rows so far."""
        self._pack()
        return pa.Table.from_batches(self._batches, self.schema)

    def _pack(self) -> None:
        if self._rows:
            self._batches.append(pa.RecordBatch.from_pylist(self._rows, self.schema))
            self._rows = []
