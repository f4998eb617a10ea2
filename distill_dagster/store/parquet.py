"""Read and write parquet tables, with errors that name the file and the way out.

Tables are written with zstd and at most `ROWS_PER_GROUP` rows a row group.
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from distill_dagster.errors import DataError
from distill_dagster.store import schemas

ROWS_PER_GROUP = 10_000
ROWS_PER_BATCH = 1_000  # as dictionaries
BYTES_PER_GROUP = 1 << 26  # in memory; ends a row group of long rows early


class TableWriter:
    """A context manager that writes rows as parquet while they arrive. A table without rows is a valid file.

    It holds at most `ROWS_PER_GROUP` rows in memory, fewer if they are long, and one more row group that a thread
    compresses and writes.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._thread = ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None
        self._held = [schema.empty_table()]
        self._size = 0  # bytes of the rows that are held
        self.count = 0  # rows written so far, held ones included

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._writer, self._thread:
            if kind is None and (len(self._held) > 1 or self.count == 0):
                self._write_group()
            if kind is None and self._under_way:
                self._under_way.result()

    def write(self, rows: pa.Table) -> None:
        """Add rows; writes a row group as soon as there are enough of them."""
        self.count, self._size = self.count + rows.num_rows, self._size + rows.nbytes
        self._held.append(rows)
        if sum(table.num_rows for table in self._held) >= ROWS_PER_GROUP or self._size > BYTES_PER_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        if self._under_way:
            self._under_way.result()
        self._under_way = self._thread.submit(self._writer.write_table, pa.concat_tables(self._held), ROWS_PER_GROUP)
        self._held, self._size = self._held[:1], 0


class RowWriter(TableWriter):
    """A `TableWriter` that also takes rows one by one; at most `ROWS_PER_BATCH` of them are dictionaries."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path, schema)
        self._schema = schema
        self._rows: list[Mapping[str, Any]] = []

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self._rows.append(row)
        if len(self._rows) == ROWS_PER_BATCH:
            self._pack()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None and self._rows:
                self._pack()
        finally:
            super().__exit__(kind, *error)

    def _pack(self) -> None:
        self.write(pa.Table.from_pylist(self._rows, self._schema))
        self._rows = []


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> int:
    """Write rows as parquet under `schema`; returns how many. A table without rows is a valid file.

    Raises:
        DataError: the disk is full, or the folder cannot be written.
    """
    rows = iter(rows)
    with writing(path), TableWriter(path, schema) as writer:
        while batch := list(itertools.islice(rows, ROWS_PER_GROUP)):
            writer.write(pa.Table.from_pylist(batch, schema))
    return writer.count


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the `OSError` of a full disk or a read-only folder into a `DataError`."""
    try:
        yield
    except OSError as e:
        raise DataError(f"{path} cannot be written ({e}): make room, or choose another `store:`, and run again") from e


def rows_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of an Arrow table as dictionaries, at most one row group of them in memory at a time."""
    for batch in table.to_batches(max_chunksize=ROWS_PER_GROUP):
        yield from batch.to_pylist()


def load_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A parquet file as an Arrow table. A column that joined since an older version wrote the file is null.

    Raises:
        DataError: the file is incomplete or not parquet; the message names it.
    """
    try:
        if not columns:
            return pq.read_table(path)
        absent = schemas.LATER.keys() & columns and schemas.LATER.keys() - set(pq.read_schema(path).names)
        table = pq.read_table(path, columns=[name for name in columns if name not in absent])
        return _with_later(table, columns)
    except (pa.ArrowInvalid, OSError) as e:
        raise _torn(path, e) from e


def _with_later(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Those columns of a table, null where the table is older than a column."""
    for name in (schemas.LATER.keys() & columns) - set(table.column_names):
        table = table.append_column(name, pa.nulls(len(table), schemas.LATER[name]))
    return table.select(list(columns))


def stream_tables(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """As `load_table`, one row group at a time.

    Raises:
        DataError: the file is incomplete or not parquet; the message names it.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            absent = schemas.LATER.keys() - set(file.schema_arrow.names)
            present = [name for name in columns if name not in absent]
            for group in range(file.num_row_groups):
                yield _with_later(file.read_row_group(group, present), columns)
    except (pa.ArrowInvalid, OSError) as e:
        raise _torn(path, e) from e


def read_table(path: Path, columns: Sequence[str] | None = None, limit: int | None = None) -> list[dict[str, Any]]:
    """Rows of a parquet file as dictionaries; with `limit`, only the first ones are read.

    Raises:
        DataError: the file is incomplete or not parquet; the message names it.
    """
    if limit is None:
        return load_table(path, columns).to_pylist()
    try:
        with pq.ParquetFile(path) as table:
            batches = table.iter_batches(limit, columns=list(columns) if columns else None)
            return next(batches, pa.RecordBatch.from_pylist([])).to_pylist()
    except (pa.ArrowInvalid, OSError) as e:
        raise _torn(path, e) from e


def stream_rows(path: Path, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Rows of a parquet file as dictionaries, `ROWS_PER_BATCH` of them in memory at a time.

    Raises:
        DataError: the file is incomplete or not parquet; the message names it.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False) as table:
            for batch in table.iter_batches(ROWS_PER_BATCH, columns=list(columns)):
                yield batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as e:
        raise _torn(path, e) from e


def _torn(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as parquet ({error}); delete its folder and materialize that asset again")
