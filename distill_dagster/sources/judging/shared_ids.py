"""Ids that different rows of different files have: the answers to such rows cannot be told apart (E011).

    a.jsonl  {"id": 0, "messages": [user "2 + 2?"]}       b.jsonl  {"id": 0, "messages": [user "3 + 3?"]}

    with open_row_ids() as ids:
        ids.add("train-a", ["0"], digest_of_a)
        ids.add("train-b", ["0"], digest_of_b)
        ids.shared("train-b")                             [SharedIds("train-b", "train-a", 1, "0")]

Ids that count from 0 in every file are the usual cause. Equal rows may share an id, because they are one row.

An SQLite database holds the ids, in memory or in a file that outlives the process. So a shard costs the time of its own
rows, however many shards there are.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from distill_dagster.errors import DataError
from distill_dagster.sources.judging.duplicates import content_digest
from distill_dagster.store import parquet

WAIT_SECONDS = 600  # for another process, which may add a shard of millions of rows
TABLES = (
    "CREATE TABLE IF NOT EXISTS shards (number INTEGER PRIMARY KEY, name TEXT UNIQUE, version TEXT)",
    "CREATE TABLE IF NOT EXISTS ids (id TEXT, shard INTEGER, content BLOB, PRIMARY KEY (id, shard)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS ids_of_shard ON ids (shard)",
)
SHARED = """
SELECT shards.name, COUNT(*), MIN(found.id) FROM (
    SELECT own.id, (
        SELECT MIN(other.shard) FROM ids AS other
        WHERE other.id = own.id AND other.shard <> own.shard AND (:strict OR other.content <> own.content)
    ) AS other FROM ids AS own JOIN shards ON shards.number = own.shard WHERE shards.name = :shard
) AS found JOIN shards ON shards.number = found.other GROUP BY shards.number ORDER BY shards.number
"""


@dataclass(frozen=True, slots=True)
class SharedIds:
    """The ids that a shard's rows have in common with other rows of another shard: how many, and the first."""

    shard: str
    other: str
    count: int
    first: str

    @property
    def text(self) -> str:
        """What is wrong, and the way out."""
        return (
            f"{self.count:,} ids of {self.shard} are those of other rows in {self.other}, such as "
            f"{self.first!r}: give each row an id of its own, such as {f'{self.shard}-{self.first}'!r}, or leave "
            "the ids out"
        )


class RowIds:
    """The row ids of many shards, each with a digest of its row; `open_row_ids` opens them."""

    def __init__(self, database: sqlite3.Connection, strict: bool) -> None:
        self._database, self._strict = database, strict

    def versions(self) -> dict[str, str]:
        """Shard -> the version whose ids were added."""
        return dict(self._database.execute("SELECT name, version FROM shards"))

    def add(self, shard: str, row_ids: Sequence[str], contents: bytes, version: str = "") -> None:
        """Store some rows of a shard, with the digests of their contents, of 16 bytes each."""
        self._database.execute("INSERT OR IGNORE INTO shards (name, version) VALUES (?, ?)", (shard, version))
        ((number,),) = self._database.execute("SELECT number FROM shards WHERE name = ?", (shard,))
        rows = ((row_id, number, contents[16 * n : 16 * n + 16]) for n, row_id in enumerate(row_ids))
        self._database.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", rows)  # `Seen` judges within a shard

    def forget(self, shard: str) -> None:
        """Drop the rows of a shard."""
        self._database.execute("DELETE FROM ids WHERE shard = (SELECT number FROM shards WHERE name = ?)", (shard,))
        self._database.execute("DELETE FROM shards WHERE name = ?", (shard,))

    def shared(self, shard: str) -> list[SharedIds]:
        """The ids of a shard that other rows have; of several shards with such a row, the one that was added first."""
        found = self._database.execute(SHARED, {"shard": shard, "strict": self._strict})
        return [SharedIds(shard, other, count, first) for other, count, first in found]


def ids_and_contents(path: Path) -> Iterator[tuple[list[str], bytes]]:
    """The row ids of a raw table and the digests of its rows' contents, some rows at a time."""
    for rows in parquet.stream_rows(path, ["row_id", "task", "messages", "reference", "not_gold"]):
        contents = (
            content_digest(
                row["task"],
                orjson.dumps(row["messages"], option=orjson.OPT_SORT_KEYS),
                row["reference"] or [],
                row.get("not_gold"),  # absent in tables of older stores
            )
            for row in rows
        )
        yield [row["row_id"] for row in rows], b"".join(contents)


@contextlib.contextmanager
def open_row_ids(path: Path | None = None, *, strict: bool = False) -> Iterator[RowIds]:
    """Hold the ids in memory, or those of a file for this process alone; all that the block added is kept, or nothing.

    `strict`: equal rows may not share an id either, as in the held-out files, which become one table.

    Raises:
        DataError: the file cannot be read or written.
    """
    try:
        with contextlib.closing(sqlite3.connect(path or ":memory:", WAIT_SECONDS, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                database.execute(table)
            yield RowIds(database, strict)
            database.execute("COMMIT")  # a block that raises closes without it
    except sqlite3.Error as e:
        raise DataError(
            f"{path} cannot be used ({e}): make room on its disk, or delete it and run again, which makes it from the "
            "published rows"
        ) from e
