"""The tables of source rows, written while the files are read: raw.parquet, rejects.parquet, and what is said of them.

    with RawTables(out) as tables:
        tables.write(Reading(source, data, task))
    tables.produced()
    Produced("5f1c…", {"lines": 90, "rows": 88, "rejected": 2, "E005": 2}, {"tasks": {"nli": 88}, "with_reference": 0})

The data version is `records.rows_hash` of all rows in their order, taken on the way.
"""

import hashlib
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.sources.judging.duplicates import IdsOfFiles
from distill_dagster.sources.judging.verdicts import Reading
from distill_dagster.store import files, parquet, schemas
from distill_dagster.store.manifest import Produced


class RawTables:
    """The two tables of a shard, or of several files that are one table."""

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

    def write(self, reading: Reading, ids: IdsOfFiles | None = None) -> None:
        """Read a file to its end into the tables; `ids` where it is not the only one.

        Raises:
            DataError: the file cannot be read or holds no valid row, or a row's id is that of another file's row.
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

    def produced(self) -> Produced:
        """Data version, counts, rows by task, and how many rows carry a gold answer."""
        facts = {"tasks": dict(self._tasks.most_common()), "with_reference": self._with_reference}
        return Produced(self._hash.hexdigest(), dict(self._counts), facts)
