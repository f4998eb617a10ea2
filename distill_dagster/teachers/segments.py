"""Sealed segments: parquet files of replies that never change once they are there.

A merged segment names in its schema's metadata the segments that it replaces, so that no reply counts twice while both
are there. Of replies that were deleted, the metadata holds what they cost: a budget is for the whole project. Readers
cache columns by path, since the file behind a path never changes.
"""

import contextlib
import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from distill_dagster.errors import DataError
from distill_dagster.store import schemas
from distill_dagster.store.parquet import ROWS_PER_GROUP
from distill_dagster.teachers.finish import INTERRUPTED, meaning_of
from distill_dagster.teachers.protocol import Reply

compute: Any = pc  # its functions are generated, which type checkers do not see
SMALL_ROWS = 100_000  # segments below this are merged
REPLACES = b"replaces"  # key in a merged segment's schema
DELETED_USD = b"deleted_usd"  # the same, of what replies cost that were deleted from it


def find(paths: Iterable[Path], wanted: Iterable[str]) -> dict[str, Reply]:
    """The replies to those of the `wanted` request hashes that are answered in the segments, by hash."""
    keys = pa.array(sorted(wanted), pa.string())
    found: dict[str, Reply] = {}
    for path in paths:
        mask = compute.is_in(column(path, "request_hash"), keys)
        if compute.any(mask).as_py():
            table = read(path).filter(mask)
            columns = table.select(Reply._fields).to_pydict()
            with _collector_paused():
                replies = map(Reply._make, zip(*columns.values(), strict=True))
                found |= {reply.request_hash: reply for reply in map(understood, replies) if reply.ok}
    return found


def understood(reply: Reply) -> Reply:
    """A stored reply with the finish reason that its word means now. An interrupted one counts as failed."""
    if reply.finish_reason in ("stop", "length", "error"):  # nearly all
        return reply
    end = meaning_of(reply.finish_reason)
    return reply._replace(finish_reason="error" if end == INTERRUPTED else end)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Without garbage collection: it would walk a million new replies again and again, and none is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def unsealed(replies: Sequence[Reply], paths: Iterable[Path]) -> list[Reply]:
    """Those of a journal's replies that no segment holds, each once: a repeated copy of a store has them twice."""
    keys = pa.array([reply.request_hash for reply in replies], pa.string())
    sealed: set[tuple[str, str]] = set()
    for path in paths:
        hashes, times = column(path, "request_hash"), column(path, "created_at")
        mask = compute.is_in(hashes, keys)
        sealed |= set(zip(hashes.filter(mask).to_pylist(), times.filter(mask).to_pylist(), strict=True))
    found = {(reply.request_hash, reply.created_at): reply for reply in replies}
    return [reply for key, reply in found.items() if key not in sealed]


def mean_tokens(paths: Iterable[Path], teacher: str, revision: str) -> float | None:
    """Completion tokens of a teacher's mean reply; None if it has no reply in the segments."""
    total = count = 0
    for path in paths:
        names, revisions = column(path, "teacher"), column(path, "teacher_revision")
        mine = compute.and_(compute.equal(names, teacher), compute.equal(revisions, revision))
        tokens = column(path, "completion_tokens").filter(mine)
        total, count = total + (compute.sum(tokens).as_py() or 0), count + len(tokens)
    return total / count if count else None


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A segment as a table of `schemas.RESPONSE`; columns that it was written without are null.

    Raises:
        DataError: the file is damaged.
        FileNotFoundError: another process merged it meanwhile.
    """
    try:
        table = pq.read_table(path, columns=columns)
    except (pa.ArrowInvalid, OSError) as e:
        raise _damaged(path, e) from e
    return table if columns else in_schema(table)


def in_schema(table: pa.Table) -> pa.Table:
    """The table with the columns of `schemas.RESPONSE`, those that it lacks as nulls."""
    columns = {
        field.name: table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schemas.RESPONSE
    }
    return pa.table(columns, schema=schemas.RESPONSE)


def _damaged(path: Path, error: Exception) -> Exception:
    """The error to raise for a segment. That it is missing is no damage: another process may have merged it."""
    if isinstance(error, FileNotFoundError):
        return error
    return DataError(f"{path} is damaged ({error}); delete it: its requests are sent again")


@lru_cache(maxsize=1024)
def column(path: Path, name: str) -> pa.ChunkedArray:
    """One column of a segment, cached because a segment never changes."""
    return read(path, [name])[name]


def cost(path: Path) -> float:
    """US dollars that the replies of a segment cost together, and those that were deleted from it."""
    return (compute.sum(column(path, "cost_usd")).as_py() or 0.0) + deleted_usd(path)


def prompts(path: Path) -> pa.ChunkedArray:
    """The column `prompt` of a segment; nulls in one that an older version wrote."""
    hashes = column(path, "request_hash")
    return (
        column(path, "prompt")
        if "prompt" in pq.read_schema(path).names
        else pa.chunked_array([pa.nulls(len(hashes), pa.string())])
    )


def write_without(source: Path, target: Path, hashes: pa.Array) -> int:
    """Write the replies of a segment but those to these requests, in its place; returns how many were left out."""
    table = read(source)
    left_out = compute.is_in(table["request_hash"], hashes)
    cost_usd = deleted_usd(source) + (compute.sum(table["cost_usd"].filter(left_out)).as_py() or 0.0)
    with pq.ParquetWriter(target, schema_of([source], cost_usd), compression="zstd") as writer:
        writer.write_table(table.filter(compute.invert(left_out)), row_group_size=ROWS_PER_GROUP)
    return compute.sum(left_out).as_py() or 0


def schema_of(replaced: Iterable[Path], cost_usd: float) -> pa.Schema:
    """The schema of a segment in place of others; `cost_usd` is that of replies that were deleted from them."""
    names = json.dumps([path.name for path in replaced], allow_nan=False)
    return schemas.RESPONSE.with_metadata({REPLACES: names, DELETED_USD: json.dumps(cost_usd, allow_nan=False)})


def small(paths: Iterable[Path]) -> list[Path]:
    """The segments that are small enough to be merged."""
    return [path for path in paths if len(column(path, "request_hash")) < SMALL_ROWS]


@lru_cache(maxsize=1024)
def replaces(path: Path) -> tuple[str, ...]:
    """Names of the segments that a merged one replaces."""
    return tuple(json.loads(_metadata(path).get(REPLACES, b"[]")))


@lru_cache(maxsize=1024)
def deleted_usd(path: Path) -> float:
    """US dollars that replies cost which were deleted from a segment."""
    return json.loads(_metadata(path).get(DELETED_USD, b"0.0"))


def _metadata(path: Path) -> dict[bytes, bytes]:
    try:
        return pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError) as e:
        raise _damaged(path, e) from e
