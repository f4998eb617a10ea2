"""The source rows that a run would use, and what is wrong with their files, before anything is made.

rows = SourceRows(look, folder)
rows.of("raw_dataset", "train-a")     the published rows, or the rows of the present file
rows.of("raw_dataset", "train-b")     None: its file cannot be used
rows.all_problems()                   ["raw_dataset[train-b]: …/b.jsonl is empty; …", "raw_dataset: 50 ids of …"]
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.errors import DataError
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.sources.judging.raw_tables import read_rows
from distill_dagster.sources.judging.shared_ids import SharedIds, ids_and_contents, open_row_ids
from distill_dagster.sources.specs import ReadSpec
from distill_dagster.store import files, parquet
from distill_dagster.store.manifest import title_of


class SourceRows:
    """The rows of every shard and of the held-out files. Stale ones are judged, into a table below `folder`."""

    def __init__(self, look: Snapshot, folder: Path) -> None:
        self._look, self._folder = look, folder
        self._tables: dict[tuple[str, str | None], Path | None] = {}
        self._problems: list[str] = []

    def of(self, asset: str, shard: str | None) -> list[dict[str, Any]] | None:
        """The rows, or None if a file cannot be used."""
        table = self._table(asset, shard)
        return None if table is None else parquet.read_table(table)

    @property
    def problems(self) -> list[str]:
        """Why those of the files that were asked for cannot be used."""
        return self._problems

    def all_problems(self) -> list[str]:
        """Why files cannot be used; if some rows are not published yet, also the ids that rows of several shards have.

        The ids of published rows passed the check `ids_differ`.
        """
        look = self._look
        stale = [key for key in look.shards if not is_fresh(look, "raw_dataset", key)]
        if not is_fresh(look, "eval_dataset"):
            self._table("eval_dataset", None)
        if stale:
            tables = {key: self._table("raw_dataset", key) for key in look.shards}
            shared = _shared_ids({key: table for key, table in tables.items() if table})
            self._problems += [f"raw_dataset[{found.shard}]: E011: {found.text}" for found in shared]
        return self._problems

    def _table(self, asset: str, shard: str | None) -> Path | None:
        if (asset, shard) not in self._tables:
            try:
                self._tables[asset, shard] = self._find(asset, shard)
            except DataError as e:
                self._tables[asset, shard] = None
                self._problems.append(f"{title_of(asset, shard)}: {e}")
        return self._tables[asset, shard]

    def _find(self, asset: str, shard: str | None) -> Path:
        """The table as published or, if that is stale, as a run would make it."""
        look = self._look
        if is_fresh(look, asset, shard):
            return look.get(asset, shard).file(files.RAW_FILE)
        sources = look.test_sources if shard is None else [look.source(shard)]
        folder = self._folder / asset / (shard or "all")
        folder.mkdir(parents=True)
        data, task = look.config.data, look.config.task
        read_rows(ReadSpec(files=sources, data=data, task=task, unique_ids=shard is None, out=str(folder)), "cpu")
        return folder / files.RAW_FILE


def _shared_ids(tables: dict[str, Path]) -> list[SharedIds]:
    """The ids that different rows of several shards have; of each shard, those that a shard before it has."""
    found: list[SharedIds] = []
    if not _any_twice(tables.values()):
        return found
    with open_row_ids() as ids:
        for shard, table in tables.items():
            for row_ids, contents in ids_and_contents(table):
                ids.add(shard, row_ids, contents)
            found += ids.shared(shard)
    return found


def _any_twice(tables: Iterable[Path]) -> bool:
    """Whether an id occurs more than once; to know this takes a small part of the time of a comparison of the rows."""
    ids = [parquet.load_table(table, ["row_id"]).column("row_id").combine_chunks() for table in tables]
    column = pa.chunked_array(ids, pa.string())
    return len(column.unique()) < len(column)
