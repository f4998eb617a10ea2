"""Finds rows and ids that a file has held before (E011), in little memory.

Each row is stored as two 16-byte digests, one of its content and one of its id, each with its line: 48 bytes a row, 48
MB a million rows, and briefly twice that while tables are merged. Rows with equal digests count as equal; among a
billion different rows the chance of any such pair is 1e-21.

    row 1  {"id": "a", "messages": [user "2 + 2?"]}
    row 2  {"id": "b", "messages": [user "2 + 2?"]}      "the row is the same as line 1"
    row 3  {"id": "a", "messages": [user "3 + 3?"]}      "id 'a' is also the id of line 1, which is another row"

A refused row is not stored, because no row duplicates a row that is not in the table.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import orjson
import pyarrow as pa
import xxhash

from distill_dagster.errors import DataError

digest = xxhash.xxh3_128_digest  # 16 bytes, in a tenth of the time of a secure hash


def content_digest(
    task: str, messages: bytes, reference: Sequence[str], not_gold: Sequence[int] | None = None
) -> bytes:
    """The digest of a raw row's content: its task, its messages as JSON with sorted keys, its gold answers."""
    rest = orjson.dumps(reference) + (b"\0" + orjson.dumps(not_gold) if not_gold else b"")
    return digest(b"%b\0%b\0%b" % (task.encode(), messages, rest))


class Columns(Protocol):
    """What `Seen` needs of a batch of n rows; `judge.Judged` has it."""

    @property
    def table(self) -> pa.Table: ...  # with row_id and source_line
    @property
    def contents(self) -> bytes: ...
    @property
    def ids(self) -> bytes: ...
    @property
    def given(self) -> list[bool]: ...


class DigestTable:
    """Digest -> number, as sorted arrays; arrays of similar size are merged (a log-structured table).

    >>> table = DigestTable()
    >>> table.add(digest(b"a"), [7])
    >>> table.find(digest(b"a") + digest(b"b")).tolist()
    [7, 0]
    """

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []  # each (3, n) uint64: first half of the digest, sorted; second half; number

    def find(self, digests: bytes) -> np.ndarray:
        """The number of each of n digests, 0 for one that is not stored; (n,) uint64."""
        high, low = _halves(digests)
        order = np.argsort(high)  # sorted look-ups make good use of the processor's caches
        high, low = high[order], low[order]
        found = np.zeros(len(high), np.uint64)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run[0], high), run.shape[1] - 1)
            there = (run[0][at] == high) & (run[1][at] == low)
            found[order[there]] = run[2][at[there]]
        return found

    def add(self, digests: bytes, numbers: Sequence[int] | np.ndarray) -> None:
        """Store new digests, each with a number above 0."""
        if not digests:
            return
        self._runs.append(_by_digest(np.stack([*_halves(digests), np.asarray(numbers, np.uint64)])))
        while len(self._runs) > 1 and self._runs[-2].shape[1] < 2 * self._runs[-1].shape[1]:
            newest = self._runs.pop()
            self._runs.append(_by_digest(np.concatenate([self._runs.pop(), newest], axis=1)))


def _halves(digests: bytes) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.frombuffer(digests, np.uint64).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _by_digest(run: np.ndarray) -> np.ndarray:
    return run[:, np.argsort(run[0], kind="stable")]


class Seen:
    """The rows that a file has held so far."""

    def __init__(self) -> None:
        self._contents, self._ids = DigestTable(), DigestTable()

    def problems(self, judged: Columns) -> dict[int, str]:
        """Position in the next batch -> what is wrong with that row; all other rows are stored."""
        lines = judged.table["source_line"].to_numpy()
        same_content, same_id = self._contents.find(judged.contents), self._ids.find(judged.ids)
        doubtful = (same_content > 0) | (same_id > 0) | _repeated(judged.contents) | _repeated(judged.ids)
        new_contents: dict[bytes, int] = {}
        new_ids: dict[bytes, int] = {}
        found = {}
        for n in map(int, np.flatnonzero(doubtful)):
            content, row_id = judged.contents[16 * n : 16 * n + 16], judged.ids[16 * n : 16 * n + 16]
            like = int(same_content[n]) or new_contents.get(content)
            named = int(same_id[n]) or new_ids.get(row_id)
            if like or named:
                found[n] = _problem(judged.table["row_id"][n].as_py(), judged.given[n], like, named)
            else:
                new_contents[content] = new_ids[row_id] = int(lines[n])
        new = np.ones(len(lines), bool)
        new[list(found)] = False
        self._contents.add(_chosen(judged.contents, new), lines[new])
        self._ids.add(_chosen(judged.ids, new), lines[new])
        return found


def _repeated(digests: bytes) -> np.ndarray:
    """Whether another digest has the same first half; (n,) bool."""
    high, _ = _halves(digests)
    _, inverse, counts = np.unique(high, return_inverse=True, return_counts=True)
    return counts[inverse] > 1


def _chosen(digests: bytes, which: np.ndarray) -> bytes:
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)[which].tobytes()


class IdsOfFiles:
    """The row ids of several files that become one table; within one file `Seen` makes them unique."""

    def __init__(self) -> None:
        self._table, self._shards = DigestTable(), []

    def require_new(self, row_ids: Sequence[str], shard: str) -> None:
        """Store the ids of some rows of one file.

        Raises:
            DataError: an earlier file has a row with one of these ids.
        """
        if shard not in self._shards:
            self._shards.append(shard)
        ids = b"".join(digest(row_id.encode()) for row_id in row_ids)
        for row_id, known in zip(row_ids, self._table.find(ids).tolist(), strict=True):
            if known:
                other = self._shards[known - 1]
                raise DataError(f"row id {row_id!r} is in {other} and in {shard}; give the two rows different ids")
        self._table.add(ids, [len(self._shards)] * len(row_ids))


def _problem(row_id: str, given: bool, like: int | None, named: int | None) -> str:
    """The message for a row that shares its content with line `like`, or its id with line `named`."""
    if like:
        return f"the row is the same as line {like}"
    if given:
        return f"id {row_id!r} is also the id of line {named}, which is another row"
    return f"the messages equal those of line {named}, but reference or task differ; give the rows ids, or merge them"
