"""Ids that different rows of different files have: the answers to such rows cannot be told apart (E011).

    a.jsonl  {"id": 0, "messages": [user "2 + 2?"]}       b.jsonl  {"id": 0, "messages": [user "3 + 3?"]}
    shared_ids({"train-a": …, "train-b": …})              SharedIds("train-b", "train-a", ["0"])

Ids that count from 0 in every file are the usual cause. Equal rows may share an id, because they are one row.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute

from distill_dagster.sources.judging.duplicates import DigestTable, content_digest, digest
from distill_dagster.store import parquet

pc: Any = pyarrow.compute  # creates its functions on import, so pyright does not know them
CONTENT = ["row_id", "task", "messages", "reference", "not_gold"]


@dataclass(frozen=True, slots=True)
class SharedIds:
    """The ids that a shard's rows have in common with other rows of another shard."""

    shard: str
    other: str
    ids: list[str]

    @property
    def text(self) -> str:
        """What is wrong, and the way out."""
        return (
            f"{len(self.ids):,} ids of {self.shard} are those of other rows in {self.other}, such as "
            f"{self.ids[0]!r}: give each row an id of its own, such as {f'{self.shard}-{self.ids[0]}'!r}, or leave "
            "the ids out"
        )


def shared_ids(paths: Mapping[str, Path]) -> list[SharedIds]:
    """The ids that different rows of several shards have, from the shards' raw tables; each pair of shards once."""
    again = _repeated(pa.chunked_array([_ids(path) for path in paths.values()], pa.string()))
    first: dict[str, tuple[str, bytes]] = {}
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for shard, path in paths.items() if len(again) else ():
        for row_id, content in _contents(path, again):
            other, known = first.setdefault(row_id, (shard, content))
            if known != content:
                found[shard, other].append(row_id)
    return [SharedIds(shard, other, ids) for (shard, other), ids in found.items()]


def _ids(path: Path) -> pa.Array:
    return parquet.load_table(path, ["row_id"]).column("row_id").combine_chunks()


def _repeated(ids: pa.ChunkedArray) -> pa.Array:
    """The values that occur more than once."""
    counts = pc.value_counts(ids)
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1))


def _contents(path: Path, chosen: pa.Array) -> Iterator[tuple[str, bytes]]:
    """Id and content digest of the rows that have a chosen id."""
    if not pc.any(pc.is_in(_ids(path), chosen)).as_py():
        return
    table = parquet.load_table(path, CONTENT)
    for row in parquet.rows_of(table.filter(pc.is_in(table.column("row_id"), chosen))):
        messages = orjson.dumps(row["messages"], option=orjson.OPT_SORT_KEYS)
        yield row["row_id"], content_digest(row["task"], messages, row["reference"] or [], row["not_gold"])


class IdsSeen:
    """The same while files are read one after another, in 48 bytes a row.

    `strict`: equal rows may not share an id either, as in the held-out files, which become one table.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._ids, self._rows, self._shards, self._strict = DigestTable(), DigestTable(), list[str](), strict
        self._found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, shard: str, row_ids: Sequence[str], contents: bytes) -> None:
        """Store some rows of a shard, with the digests of their contents."""
        if shard not in self._shards:
            self._shards.append(shard)
        own, ids = len(self._shards), [digest(row_id.encode()) for row_id in row_ids]
        rows = b"".join(digest(row_id + contents[16 * n : 16 * n + 16]) for n, row_id in enumerate(ids))
        known, same = self._ids.find(b"".join(ids)).tolist(), self._rows.find(rows).tolist()
        for n, number in enumerate(known):
            if number not in (0, own) and (self._strict or not same[n]):
                self._found[shard, self._shards[number - 1]].append(row_ids[n])
        new = [n for n, number in enumerate(known) if not number]
        self._ids.add(b"".join(ids[n] for n in new), [own] * len(new))
        self._rows.add(b"".join(rows[16 * n : 16 * n + 16] for n in new), [own] * len(new))

    def shared(self, shard: str) -> list[SharedIds]:
        """What a shard shares with those that were added before it."""
        return [SharedIds(own, other, ids) for (own, other), ids in self._found.items() if own == shard]
