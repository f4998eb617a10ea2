"""Rows of Arrow tables as JSON text: a parquet file, or a folder that `datasets.save_to_disk` wrote.

    messages [{"role": "user", "content": "2 + 2?", "name": null}], lang null
    Line(1, b'{"messages":[{"role":"user","content":"2 + 2?"}]}', 49)

In a table every row has every column, so null means that the row lacks the key. Dates and decimals become text; a
column of bytes has no text, and the error names it. A table is read a few hundred rows at a time.
"""

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from distill_dagster.errors import DataError
from distill_dagster.sources.files.lines import Line
from distill_dagster.sources.files.opening import opened, reading
from distill_dagster.sources.files.saved_dataset import data_files

ROWS = 256  # converted at once
BUFFER = 1 << 20  # bytes of a parquet column that are fetched at once
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # the end of a complete Arrow stream (Arrow columnar format, IPC)


def read_parquet(url: str, max_row_bytes: int) -> Iterator[Line]:
    """The rows of a parquet file, row group by row group.

    Raises:
        DataError: the file is missing, is torn or no parquet, or has a column of bytes.
    """
    return _lines(_parquet_batches(url), url, max_row_bytes)


def read_saved_dataset(url: str, max_row_bytes: int) -> Iterator[Line]:
    """The rows of a saved dataset, file by file.

    Raises:
        DataError: the folder is no saved dataset, a file of it is missing or torn, or has a column of bytes.
    """
    batches = (batch for file in data_files(url) for batch in _arrow_batches(file))
    return _lines(batches, url, max_row_bytes)


def _parquet_batches(url: str) -> Iterator[pa.RecordBatch]:
    with opened(url) as stream:
        with reading(url):
            table = pq.ParquetFile(stream, buffer_size=BUFFER, pre_buffer=False)
        _require_text(table.schema_arrow, url)
        yield from _one_by_one(table.iter_batches(ROWS, use_threads=False), url)


def _arrow_batches(url: str) -> Iterator[pa.RecordBatch]:
    """The record batches of one file; checks its end, because pyarrow accepts a stream cut between two batches."""
    with opened(url) as stream:
        with reading(url):
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - len(END_OF_STREAM)))
            if stream.read() != END_OF_STREAM:
                raise EOFError("the Arrow stream has no end")
            stream.seek(0)
            reader = pa.ipc.open_stream(stream)
        _require_text(reader.schema, url)
        for batch in _one_by_one(iter(reader), url):
            yield from (batch.slice(start, ROWS) for start in range(0, batch.num_rows, ROWS))


def _one_by_one(batches: Iterator[pa.RecordBatch], url: str) -> Iterator[pa.RecordBatch]:
    while True:
        with reading(url):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _lines(batches: Iterator[pa.RecordBatch], url: str, limit: int) -> Iterator[Line]:
    """The rows of all batches, numbered from 1."""
    number = 0
    for batch in batches:
        with reading(url):
            rows = batch.to_pylist()
        for row in rows:
            number += 1
            data = orjson.dumps(_without_nulls(row), default=str)  # default: decimals and durations
            yield Line(number, data if len(data) <= limit else None, len(data))


def _without_nulls(value: Any) -> Any:
    """`value` without the keys that are null, at every level; a null in a list stays."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list | tuple) else value


def _require_text(schema: pa.Schema, url: str) -> None:
    for field in schema:
        if _holds_bytes(field.type):
            raise DataError(
                f"{url}: the column {field.name!r} holds bytes ({field.type}), but rows are text; leave the column out"
            )


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return True
    return any(_holds_bytes(kind.field(i).type) for i in range(kind.num_fields))
