"""Source files as two tables, raw.parquet and rejects.parquet, which are written while the files are read.

    with RawTables(out) as tables:
        tables.write(SourceReading(source, data, task))
    tables.result()
    ReadResult(data_version="5f1c…", counts=ReadCounts(lines=90, rows=88, rejected=2, E005=2), tasks={"nli": 88}, …)

The data version is `hashing.rows_hash` of all rows in their order, computed while they are written.
"""

import hashlib
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.sources.judging.duplicates import IdsOfFiles
from distill_dagster.sources.judging.verdicts import SourceReading
from distill_dagster.sources.specs import ReadCounts, ReadResult, ReadSpec
from distill_dagster.store import files, parquet, schemas


def read_rows(spec: ReadSpec, device: str) -> ReadResult:
    """The worker: read and judge the files of `spec` into two tables. It needs no device and ignores `device`.

    Raises:
        DataError: a file cannot be read or holds no valid row, or two files have a row of one id (`spec.unique_ids`).
    """
    ids = IdsOfFiles() if spec.unique_ids else None
    with RawTables(Path(spec.out)) as tables:
        for source in spec.files:
            tables.write(SourceReading(source, spec.data, spec.task), ids)
    return tables.result()


class RawTables:
    """The tables of one shard, or of several files that share them; a context manager."""

    def __init__(self, out: Path) -> None:
        self._open = ExitStack()
        self._rows = self._open.enter_context(parquet.TableWriter(out / files.RAW_FILE, schemas.RAW))
        self._rejects = self._open.enter_context(parquet.TableWriter(out / files.REJECTS_FILE, schemas.REJECT))
        self._hash = hashlib.sha256()
        self._counts: Counter[str] = Counter()
        self._tasks: Counter[str] = Counter()
        self._with_reference = 0

    def __enter__(self) -> "RawTables":
        return self

    def __exit__(self, *failure: Any) -> None:
        self._open.__exit__(*failure)

    def write(self, reading: SourceReading, ids: IdsOfFiles | None = None) -> None:
        """Read a file to its end into the tables; with `ids`, no row may have the id of another file's row.

        Raises:
            DataError: the file cannot be read or holds no valid row, or a row has the id of another file's row.
        """
        for batch in reading:
            if ids is not None:
                ids.require_new(batch.rows["row_id"].to_pylist(), reading.source.key)
            self._rows.write(batch.rows)
            self._rejects.write(pa.Table.from_pylist(batch.rejects, schemas.REJECT))
            self._hash.update(batch.hashed)
            for found in batch.rows["task"].value_counts().to_pylist():
                self._tasks[found["values"]] += found["counts"]
            lengths = batch.rows["reference"].combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
            self._with_reference += int((lengths > 0).sum())
        self._counts.update(reading.counts)

    def result(self) -> ReadResult:
        """The counts over all files that were written."""
        return ReadResult(
            data_version=self._hash.hexdigest(),
            counts=ReadCounts.model_validate(self._counts),
            tasks=dict(self._tasks.most_common()),
            with_reference=self._with_reference,
        )
