"""The held-out rows (items) of all tasks in one order, and the ones that have a row's contamination key.

items    task "qa", row_id "t1", text "what s my pin"      sorted by task, row id and text
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from distill_dagster.quality.columns import pc
from distill_dagster.quality.duplicates.prompt_keys import bare, contamination_key, user_text_of
from distill_dagster.quality.duplicates.prompts import Keys, as_numbers
from distill_dagster.quality.duplicates.shingles import Sieve

BATCH = 1_000
ITEM = pa.schema([("task", pa.large_string()), ("row_id", pa.large_string()), ("text", pa.large_string())])


class HeldOutItems:
    """Arrays of the items; an item's number is its place in them."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        table, keys = _read(iter(rows))
        order = pc.sort_indices(table, [(name, "ascending") for name in ITEM.names])
        self.table = table.take(order).combine_chunks()
        self._keys = keys[order.to_numpy()]
        self._order = np.lexsort(self._keys.T[::-1])  # stable: of equal keys, the first item comes first
        self._firsts = Sieve(np.ascontiguousarray(self._keys[self._order, 0]))

    def __len__(self) -> int:
        return len(self.table)

    def name(self, item: int) -> str:
        """The row id of an item."""
        return self.table.column("row_id")[item].as_py()

    def by_task(self) -> Iterator[tuple[str, int, pa.Array]]:
        """Each task, the number of its first item, and the texts of its items."""
        tasks, first = self.table.column("task"), 0
        for task, count in ((found["values"], found["counts"]) for found in tasks.value_counts().to_pylist()):
            yield task, first, self.table.column("text").slice(first, count).combine_chunks()
            first += count

    def find(self, keys: Keys) -> Iterator[tuple[int, int]]:
        """(row, first item with its key), for the rows that have an item's key."""
        at, which = self._firsts.find(np.ascontiguousarray(keys[:, 0]))
        items = self._order[which]
        same = self._keys[items, 1] == keys[at, 1]
        yield from zip(at[same].tolist(), items[same].tolist(), strict=True)

    def with_key_of(self, item: int) -> list[str]:
        """The row ids of all items with the key of `item`."""
        own, begin = self._keys[item], int(np.searchsorted(self._firsts.values, self._keys[item, 0]))
        end = int(np.searchsorted(self._firsts.values, own[0], "right"))
        items = self._order[begin:end]
        return [self.name(i) for i in items[self._keys[items, 1] == own[1]].tolist()]


def _read(rows: Iterator[Mapping[str, Any]]) -> tuple[pa.Table, Keys]:
    parts, keys = [ITEM.empty_table()], [np.empty((0, 2), np.uint64)]
    while block := list(islice(rows, BATCH)):
        texts = [bare(user_text_of(row)) for row in block]
        columns = [[row["task"] for row in block], [row["row_id"] for row in block], texts]
        parts.append(pa.table(columns, ITEM))
        keys.append(as_numbers(map(contamination_key, block)))
    return pa.concat_tables(parts), np.concatenate(keys)
