"""Every reply that a project has paid for, found by the hash of its request, whichever shard or run asked it.

    store/responses/
      journals/train-part-00.jsonl     replies of a shard that is being generated; appended at once
      segments/17689….parquet          replies of shards that are done; a file never changes
      smoke/77b0….json                 the teachers and prompts that passed the smoke gate

A row that is moved to another shard, a shard that is renamed and a parser that is mended cost no call, because all of
them ask for the same hashes. Nothing is removed by itself: deleting the folder means paying again.
"""

import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from distill_dagster import records
from distill_dagster.errors import DataError
from distill_dagster.generation.journal import Journal, open_journal, read_journal
from distill_dagster.storage import check_key, fsync

compute: Any = pc  # its functions are generated, which type checkers do not see
SMALL_ROWS = 100_000  # segments below this are merged
MOST_SMALL = 64  # so many of them: each lookup opens every segment


class Responses:
    """The replies of one project, in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._segments, self._journals = root / "segments", root / "journals"

    def find(self, hashes: Iterable[str]) -> dict[str, dict[str, Any]]:
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
        return found | self._find_sealed(wanted - found.keys())

    def _find_sealed(self, wanted: set[str], tries: int = 3) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        keys = pa.array(sorted(wanted), pa.string())
        try:
            for path in self._paths() if wanted else []:
                mask = compute.is_in(_column(path, "request_hash"), keys)
                if compute.any(mask).as_py():
                    rows = _read(path).filter(mask).to_pylist()
                    found |= {row["request_hash"]: row for row in rows if row["finish_reason"] != "error"}
        except FileNotFoundError:  # merged into another segment since the folder was listed
            if not tries:
                raise
            return self._find_sealed(wanted, tries - 1)
        return found

    def spent(self) -> float:
        """US dollars that all replies cost together, those of unfinished shards included."""
        sealed = sum(_cost(path) for path in self._paths())
        return sealed + sum(e["cost_usd"] for path in self._journals.glob("*.jsonl") for e in read_journal(path))

    def mean_completion_tokens(self, teacher: str, revision: str) -> float | None:
        """Of the replies of a teacher in finished shards; None where there is none."""
        total = count = 0
        for path in self._paths():
            names, revisions = _column(path, "teacher"), _column(path, "teacher_revision")
            mine = compute.and_(compute.equal(names, teacher), compute.equal(revisions, revision))
            tokens = _column(path, "completion_tokens").filter(mine)
            total, count = total + (compute.sum(tokens).as_py() or 0), count + len(tokens)
        return total / count if count else None

    @contextlib.contextmanager
    def journal(self, name: str) -> Iterator[Journal]:
        """The journal of a shard; what it holds at the end of a block that succeeded becomes a segment."""
        path = self._journals / f"{check_key(name)}.jsonl"
        with open_journal(path) as journal:
            yield journal
            journal.sync()
            self._seal(path)

    def _seal(self, journal: Path) -> None:
        """Turn a journal into a segment. Killed in between, both hold the same replies, which does no harm."""
        rows = [entry for entry in read_journal(journal) if entry["finish_reason"] != "error" or entry["cost_usd"]]
        if rows:
            with self._new_segment() as path:
                records.write_table(path, rows, records.RESPONSE)
        journal.unlink()
        small = [path for path in self._paths() if _rows(path) < SMALL_ROWS]
        if len(small) > MOST_SMALL:
            with FileLock(self.root / "merge.lock"):
                self._merge([path for path in small if path.exists()])

    def _merge(self, paths: list[Path]) -> None:
        with self._new_segment() as path, pq.ParquetWriter(path, records.RESPONSE, compression="zstd") as writer:
            for small in paths:
                writer.write_table(_read(small), row_group_size=records.ROWS_PER_GROUP)
        for small in paths:
            small.unlink()

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

    def _paths(self) -> list[Path]:
        return sorted(self._segments.glob("[!.]*.parquet"))


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowInvalid, OSError) as e:
        if isinstance(e, FileNotFoundError):
            raise
        raise DataError(f"{path} is damaged ({e}); delete it: its replies are asked for again") from e


@lru_cache(maxsize=1024)
def _column(path: Path, name: str) -> pa.ChunkedArray:
    """One column of a segment, which never changes."""
    return _read(path, [name])[name]


def _cost(path: Path) -> float:
    return compute.sum(_column(path, "cost_usd")).as_py() or 0.0


def _rows(path: Path) -> int:
    return len(_column(path, "request_hash"))
