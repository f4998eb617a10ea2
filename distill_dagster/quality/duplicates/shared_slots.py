"""Which rows have the prompt of another row, or a band of it, and where the kept ones among them are counted.

    row 0   key 71…, bands 5, 9        slots [0, -1, 2]     the key is also row 3's, and band 9 also row 1's
    row 1   key 08…, bands 6, 9        slots [-1, -1, 2]

A slot is a place in one array (kept_rows.py): the number of rows that are kept there, and room for these rows. DuckDB
groups the keys and the bands, which are in files.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from distill_dagster.quality.duplicates.shingles import NO_BAND, Hashes
from distill_dagster.quality.spill import Numbers, Spill, parts_of

COMPARED = 32  # kept rows of one band that a row is compared with, so that one template's rows do not cost n²
GROUPED = 1 << 22  # values that are grouped together, unless there are more rows
VALUE = pa.schema([("value", pa.uint64())])


class SharedSlots:
    """First `add` the rows in order, each with a hash of its prompt and with `bands` bands, then `close`."""

    def __init__(self, spill: Spill, bands: int) -> None:
        self._spill = spill
        self._columns = [spill.numbers(f"values-{i}", np.uint64) for i in range(1 + bands)]

    def add(self, prompts: Hashes, bands: Hashes) -> None:
        """Add rows: hashes (rows,) and bands (rows, B)."""
        for numbers, column in zip(self._columns, (prompts, *bands.T), strict=False):
            numbers.append(column)

    def close(self) -> tuple[Numbers, int]:
        """The slots of each row: of its prompt, and of each of its bands, (rows, 1 + B); and the room that all need."""
        found, room = list[Numbers](), 0
        rows = max(1, self._columns[0].count)
        for part in parts_of([rows] * len(self._columns), GROUPED):
            slots, room = self._group(self._columns[part], rows, room)
            found += slots
        joined = self._spill.numbers("slots", np.int64, len(found))
        for blocks in zip(*(slots.blocks() for slots in found), strict=True):
            joined.append(np.stack(blocks, axis=1))
        for numbers in (*self._columns, *found):
            numbers.remove()
        return joined, room

    def _group(self, columns: Sequence[Numbers], rows: int, room: int) -> tuple[list[Numbers], int]:
        """The slot of each row by each column, -1 if no other row has its value; and the room up to here."""
        self._spill.load("found", _tables(columns), VALUE)
        self._spill.run(
            f"""
            CREATE OR REPLACE TEMP TABLE shared AS
            SELECT part, value, room, {room} - room + sum(room) OVER
                (ORDER BY part, value ROWS UNBOUNDED PRECEDING) AS slot
            FROM (
                SELECT position // {rows} AS part, value, 1 + least(count(*), {COMPARED}) AS room
                FROM found WHERE value <> {NO_BAND} GROUP BY part, value HAVING count(*) > 1
            )
            """
        )
        sql = """
            SELECT coalesce(slot, -1)::BIGINT AS slot
            FROM (SELECT position // {rows} AS part, value, position FROM found) LEFT JOIN shared USING (part, value)
            ORDER BY position
            """
        slots = [self._spill.numbers(f"{column.path.stem}-slots", np.int64) for column in columns]
        _split((batch.column(0).to_numpy() for batch in self._spill.query(sql.format(rows=rows))), slots, rows)
        (total,) = self._spill.query("SELECT coalesce(sum(room), 0)::BIGINT AS room FROM shared")
        return slots, room + total.column(0)[0].as_py()


def _tables(columns: Sequence[Numbers]) -> Iterator[pa.Table]:
    for column in columns:
        for block in column.blocks():
            yield pa.table([pa.array(block)], VALUE)


def _split(arrays: Iterator[np.ndarray], columns: Sequence[Numbers], rows: int) -> None:
    """Append the numbers of all columns, which follow one another, to each column its own."""
    done = 0
    for array in arrays:
        while len(array):
            own = array[: rows - done % rows]
            columns[done // rows].append(own)
            done, array = done + len(own), array[len(own) :]
