"""Every reply that a project has paid for, found by the hash of its request, whichever shard or run asked it.

    store/responses/
      journals/train-part-00.jsonl     replies of a shard that is being generated; appended at once
      segments/17689….parquet          replies of shards that are done; a file never changes
      smoke/77b0….json                 the teachers and prompts that passed the smoke gate

A row that is moved to another shard, a shard that is renamed and a parser that is mended cost no call, because all of
them ask for the same hashes. Nothing is removed by itself: deleting the folder means paying again.
"""

import contextlib
import json
import math
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from distill_dagster.errors import DataError
from distill_dagster.store import parquet, schemas
from distill_dagster.store.artefacts import check_key
from distill_dagster.store.disk import fsync
from distill_dagster.teachers.journal import Journal, open_journal, read_journal

compute: Any = pc  # its functions are generated, which type checkers do not see
SMALL_ROWS = 100_000  # segments below this are merged
MOST_SMALL = 64  # so many of them: each lookup opens every segment
REPLACES = b"replaces"  # key in a merged segment's schema

Entry = dict[str, Any]  # a row of records.RESPONSE
Found = TypeVar("Found")


class Responses:
    """The replies of one project, in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._segments, self._journals = root / "segments", root / "journals"

    def find(self, hashes: Iterable[str]) -> dict[str, Entry]:
        """The replies (`records.RESPONSE`) to those requests that were answered before.

        Raises:
            DataError: a segment or a journal is damaged; the message names it.
        """
        wanted = set(hashes)
        found = {
            entry["request_hash"]: entry
            for path in sorted(self._journals.glob("*.jsonl"))
            for entry in read_journal(path)
            if entry["request_hash"] in wanted and entry["finish_reason"] != "error"
        }
        missing = wanted - found.keys()
        return found | self._look(lambda paths: _find_sealed(paths, missing)) if missing else found

    def spent(self) -> float:
        """US dollars that all replies cost together, those of unfinished shards included."""
        entries = [entry for path in sorted(self._journals.glob("*.jsonl")) for entry in read_journal(path)]
        return self._look(
            lambda paths: math.fsum([*map(_cost, paths), *(entry["cost_usd"] for entry in _unsealed(entries, paths))])
        )

    def mean_completion_tokens(self, teacher: str, revision: str) -> float | None:
        """Of the replies of a teacher in finished shards; None where there is none."""
        return self._look(lambda paths: _mean_tokens(paths, teacher, revision))

    @contextlib.contextmanager
    def journal(self, name: str) -> Iterator[Journal]:
        """The journal of a shard; what it holds at the end of a block that succeeded becomes a segment."""
        path = self._journals / f"{check_key(name)}.jsonl"
        with open_journal(path) as journal:
            yield journal
            journal.sync()
            self._seal(path)

    def _seal(self, journal: Path) -> None:
        """Turn a journal into a segment. Killed in between, both hold the same replies, which count once."""
        entries = [entry for entry in read_journal(journal) if entry["finish_reason"] != "error" or entry["cost_usd"]]
        rows = self._look(lambda paths: _unsealed(entries, paths)) if entries else []
        if rows:
            with self._new_segment() as path:
                parquet.write_table(path, rows, schemas.RESPONSE)
        journal.unlink()
        if len(self._look(_small)) > MOST_SMALL:
            with FileLock(self.root / "merge.lock"):
                small = self._look(_small)  # another process may have merged them meanwhile
                if len(small) > MOST_SMALL:
                    self._merge(small)

    def _merge(self, small: list[Path]) -> None:
        """Put many segments into one, which names those that it stands for: killed in between, they count once."""
        for path in self._replaced(self._all_segments()):
            path.unlink(missing_ok=True)  # left by a merge that was killed
        schema = schemas.RESPONSE.with_metadata({REPLACES: json.dumps([path.name for path in small])})
        with self._new_segment() as merged, pq.ParquetWriter(merged, schema, compression="zstd") as writer:
            for path in small:
                writer.write_table(_read(path), row_group_size=parquet.ROWS_PER_GROUP)
        for path in small:
            path.unlink()

    @contextlib.contextmanager
    def _new_segment(self) -> Iterator[Path]:
        """A path to write to, renamed into `segments/` when the block has succeeded."""
        self._segments.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        scratch = self._segments / f".{name}"
        try:
            yield scratch
            fsync(scratch)
            scratch.rename(self._segments / f"{name}.parquet")
            fsync(self._segments)
        except OSError as e:
            raise DataError(f"{self._segments} cannot be written ({e.strerror}); make room and run again") from e
        finally:
            scratch.unlink(missing_ok=True)

    def _look(self, look: Callable[[list[Path]], Found], tries: int = 3) -> Found:
        """What `look` finds in the segments that count, which another process may merge meanwhile."""
        try:
            paths = self._all_segments()
            replaced = self._replaced(paths)
            return look([path for path in paths if path not in replaced])
        except FileNotFoundError:
            if not tries:
                raise
            return self._look(look, tries - 1)

    def _all_segments(self) -> list[Path]:
        return sorted(self._segments.glob("[!.]*.parquet"))

    def _replaced(self, paths: Iterable[Path]) -> set[Path]:
        """Segments that another one stands for."""
        return {self._segments / name for path in paths for name in _replaces(path)}


def _find_sealed(paths: Iterable[Path], wanted: Iterable[str]) -> dict[str, Entry]:
    keys = pa.array(sorted(wanted), pa.string())
    found: dict[str, Entry] = {}
    for path in paths:
        mask = compute.is_in(_column(path, "request_hash"), keys)
        if compute.any(mask).as_py():
            rows = _read(path).filter(mask).to_pylist()
            found |= {row["request_hash"]: row for row in rows if row["finish_reason"] != "error"}
    return found


def _unsealed(entries: Sequence[Entry], paths: Iterable[Path]) -> list[Entry]:
    """The entries of journals that no segment holds."""
    keys = pa.array([entry["request_hash"] for entry in entries], pa.string())
    sealed: set[tuple[str, str]] = set()
    for path in paths:
        hashes, times = _column(path, "request_hash"), _column(path, "created_at")
        mask = compute.is_in(hashes, keys)
        sealed |= set(zip(hashes.filter(mask).to_pylist(), times.filter(mask).to_pylist(), strict=True))
    return [entry for entry in entries if (entry["request_hash"], entry["created_at"]) not in sealed]


def _mean_tokens(paths: Iterable[Path], teacher: str, revision: str) -> float | None:
    total = count = 0
    for path in paths:
        names, revisions = _column(path, "teacher"), _column(path, "teacher_revision")
        mine = compute.and_(compute.equal(names, teacher), compute.equal(revisions, revision))
        tokens = _column(path, "completion_tokens").filter(mine)
        total, count = total + (compute.sum(tokens).as_py() or 0), count + len(tokens)
    return total / count if count else None


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowInvalid, OSError) as e:
        raise _damaged(path, e) from e


def _damaged(path: Path, error: Exception) -> Exception:
    """What a segment's error is to people; that it is gone is no damage, since it may have been merged."""
    if isinstance(error, FileNotFoundError):
        return error
    return DataError(f"{path} is damaged ({error}); delete it: its replies are asked for again")


@lru_cache(maxsize=1024)
def _column(path: Path, name: str) -> pa.ChunkedArray:
    """One column of a segment, which never changes."""
    return _read(path, [name])[name]


def _cost(path: Path) -> float:
    return compute.sum(_column(path, "cost_usd")).as_py() or 0.0


def _small(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if len(_column(path, "request_hash")) < SMALL_ROWS]


@lru_cache(maxsize=1024)
def _replaces(path: Path) -> tuple[str, ...]:
    """Names of the segments that a merged one stands for."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError) as e:
        raise _damaged(path, e) from e
    return tuple(json.loads(metadata.get(REPLACES, b"[]")))
