"""What a set is made from, on disk: tables that DuckDB sorts and groups, and columns of numbers.

    spill.sort("raw", tables, RAW_USED, RAW_ORDER)     a parquet file in that order
    spill.numbers("keys", "u8", width=2)               rows of two numbers, appended and then read again in blocks

DuckDB holds at most `MEMORY`, and writes what exceeds it into the same folder. Every order is total, so the number of
its threads changes no result.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from distill_dagster.errors import DataError
from distill_dagster.store import parquet

MEMORY, MOST_THREADS = "512MiB", 4
BLOCK = 10_000  # most rows that are looked at together
BLOCK_BYTES = 1 << 22  # of their texts, which ends a block of long rows early
BATCH = 2_000  # rows that come out of DuckDB at a time: five are a row group
SETTINGS = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}  # it needs no network


def parts_of(sizes: Any, most: int) -> Iterator[slice]:
    """Slices of at most `BLOCK` of these, and of at most `most` in all unless a slice has only one."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(ends):
        done = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, done + most, "right")))
        yield slice(start, min(end, start + BLOCK))
        start = min(end, start + BLOCK)


class Numbers:
    """Numbers, or rows of `width` numbers, in a file: appended in blocks, and then read in blocks of any size."""

    def __init__(self, path: Path, kind: Any, width: int | None = None) -> None:
        self.path, self.kind, self.width = path, np.dtype(kind), width
        self.count = 0
        self._file = path.open("wb")

    def append(self, block: Any) -> None:
        """Add rows, (n, width) or (n,)."""
        rows = np.ascontiguousarray(block, self.kind)
        self._file.write(rows.tobytes())
        self.count += len(rows)

    def remove(self) -> None:
        """Delete the file."""
        self._file.close()
        self.path.unlink()

    def blocks(self, size: int = BLOCK) -> Iterator[Any]:
        """All rows, `size` at a time, (n, width) or (n,)."""
        self._file.close()
        with self.path.open("rb") as file:
            while len(block := np.fromfile(file, self.kind, size * (self.width or 1))):
                yield block.reshape(-1, self.width) if self.width else block


class Spill:
    """A folder of a set's intermediate files, which is there inside the `with` block alone.

    DuckDB starts with the first question to it, and `rest` frees its memory.
    """

    def __init__(self, work: Path) -> None:
        self.folder = work / "spill"
        self._failed: list[Exception] = []  # of the tables that a query reads

    def __enter__(self) -> "Spill":
        shutil.rmtree(self.folder, ignore_errors=True)  # of a run that was killed
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()
        shutil.rmtree(self.folder, ignore_errors=True)

    @cached_property
    def _db(self) -> Any:
        import duckdb

        threads = min(MOST_THREADS, os.cpu_count() or 1)
        limits = {"memory_limit": MEMORY, "threads": threads, "temp_directory": str(self.folder / "duckdb")}
        return duckdb.connect(":memory:", config={**SETTINGS, **limits})

    def rest(self) -> None:
        """Close DuckDB and forget its tables."""
        if db := self.__dict__.pop("_db", None):
            db.close()

    def numbers(self, name: str, kind: Any, width: int | None = None) -> Numbers:
        """A new file of numbers."""
        return Numbers(self.folder / f"{name}.numbers", kind, width)

    def sort(self, name: str, tables: Iterable[pa.Table], schema: pa.Schema, order: Sequence[str]) -> Path:
        """Write the rows of `tables` in that order: "-" for descending, null as "" or 0; equal ones as they come."""
        path = self.folder / f"{name}.parquet"
        keys = ", ".join([*(_key(schema, column) for column in order), "position"])
        with self._fed(tables, schema), parquet.writing(path), parquet.TableWriter(path, schema) as writer:
            for batch in self.query(f"SELECT * EXCLUDE position FROM fed ORDER BY {keys}"):
                writer.write(pa.Table.from_batches([batch]).cast(schema))
        return path

    def load(self, name: str, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
        """Make a table of DuckDB of these rows, with a column `position`, in place of an earlier one."""
        with self._fed(tables, schema):
            self.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM fed")

    def query(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows that a query selects.

        Raises:
            DataError: a table that it reads is torn, or the disk cannot hold what exceeds the memory.
        """
        import duckdb

        try:
            yield from self._db.sql(sql).to_arrow_reader(BATCH)
        except (duckdb.Error, pa.ArrowException, OSError) as e:  # the reader's errors are pyarrow's
            if self._failed:
                raise self._failed[0] from e
            raise DataError(f"the set cannot be made in {self.folder} ({e}): make room there, and run again") from e

    def run(self, sql: str) -> None:
        """Run a statement that returns no rows; raises the same error."""
        list(self.query(sql))

    @contextlib.contextmanager
    def _fed(self, tables: Iterable[pa.Table], schema: pa.Schema) -> Iterator[None]:
        """Let one query read these rows as `fed`, with a column `position`."""
        schema = schema.append(pa.field("position", pa.int64()))
        self._db.register("fed", pa.RecordBatchReader.from_batches(schema, self._watched(_numbered(tables, schema))))
        yield
        self._db.unregister("fed")

    def _watched(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches; DuckDB reports an error in them as one of its own, so the error itself is kept."""
        try:
            yield from batches
        except Exception as e:
            self._failed.append(e)
            raise


def _numbered(tables: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    first = 0
    for table in tables:
        positions = pa.array(range(first, first + len(table)), pa.int64())
        yield from table.append_column("position", positions).cast(schema).to_batches()
        first += len(table)


def _key(schema: pa.Schema, name: str) -> str:
    column = name.lstrip("-")
    nothing = "0" if pa.types.is_integer(schema.field(column).type) else "''"
    return f'coalesce("{column}", {nothing}){" DESC" if name != column else ""}'
