"""Every reply that a project has paid for, found by the hash of its request, whichever shard or run asked it.

    store/responses/
      journals/train-part-00.jsonl     replies of a shard that is being generated; appended at once
      segments/17689….parquet          replies of finished shards; a file never changes
      smoke/77b0….json                 the teachers and prompts that passed the smoke gate

A row that moves to another shard, a renamed shard and a fixed parser cost no call, because all of them look up the same
hashes. The package never deletes a reply; whoever deletes the folder pays again.
"""

import contextlib
import json
import math
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq
from filelock import FileLock

from distill_dagster.errors import DataError
from distill_dagster.process import ATTEMPT
from distill_dagster.store import parquet, schemas
from distill_dagster.store.artefacts import check_key
from distill_dagster.store.disk import fsync
from distill_dagster.teachers import segments
from distill_dagster.teachers.journal import Journal, open_journal, read_journal
from distill_dagster.teachers.protocol import Reply

MOST_SMALL = 64  # small segments that stay unmerged: each lookup opens every segment
Found = TypeVar("Found")


class Responses:
    """The replies of one project, in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._segments, self._journals = root / "segments", root / "journals"

    def find(self, hashes: Iterable[str]) -> dict[str, Reply]:
        """The replies to those of the requests that were answered before, by hash.

        Raises:
            DataError: a segment or a journal is damaged; the message names it.
        """
        wanted = set(hashes)
        journaled = (segments.understood(reply) for reply in self._journaled() if reply.request_hash in wanted)
        found = {reply.request_hash: reply for reply in journaled if reply.ok}
        missing = wanted - found.keys()
        return found | self._look(lambda paths: segments.find(paths, missing)) if missing else found

    def spent(self) -> float:
        """US dollars that all replies cost together, including those of unfinished shards."""
        replies = list(self._journaled())

        def total(paths: list[Path]) -> float:
            return math.fsum([*map(segments.cost, paths), *(r.cost_usd for r in segments.unsealed(replies, paths))])

        return self._look(total)

    def mean_completion_tokens(self, teacher: str, revision: str) -> float | None:
        """The mean over a teacher's replies in finished shards; None if there are none."""
        return self._look(lambda paths: segments.mean_tokens(paths, teacher, revision))

    @contextlib.contextmanager
    def journal(self, name: str) -> Iterator[Journal]:
        """The journal of a shard; at the end of a block without an error its replies become a segment.

        A second attempt of the work, on another machine, has a journal of its own. That of the first may be locked for
        ever by a machine that hangs, and its replies are found there.
        """
        path = self._journals / f"{check_key(name)}{_of_attempt()}.jsonl"
        with open_journal(path) as journal:
            yield journal
            journal.sync()
            self._seal(path)

    def _seal(self, journal: Path) -> None:
        """Turn a journal into a segment. After a kill in between both hold the same replies, which count once."""
        replies = [reply for reply in _replies(journal) if reply.ok or reply.cost_usd or reply.received is not None]
        unsealed = self._look(lambda paths: segments.unsealed(replies, paths)) if replies else []
        if unsealed:
            with self._new_segment() as path:
                parquet.write_table(path, [reply._asdict() for reply in unsealed], schemas.RESPONSE)
        journal.unlink()
        if len(self._look(segments.small)) > MOST_SMALL:
            with FileLock(self.root / "merge.lock"):
                small = self._look(segments.small)  # another process may have merged them meanwhile
                if len(small) > MOST_SMALL:
                    self._merge(small)

    def _merge(self, small: list[Path]) -> None:
        """Put many segments into one, which names those that it replaces: after a kill in between they count once."""
        for path in self._replaced(self._all_segments()):
            path.unlink(missing_ok=True)  # left by a merge that was killed
        schema = schemas.RESPONSE.with_metadata(
            {segments.REPLACES: json.dumps([path.name for path in small], allow_nan=False)}
        )
        with self._new_segment() as merged, pq.ParquetWriter(merged, schema, compression="zstd") as writer:
            for path in small:
                writer.write_table(segments.read(path), row_group_size=parquet.ROWS_PER_GROUP)
        for path in small:
            path.unlink()

    @contextlib.contextmanager
    def _new_segment(self) -> Iterator[Path]:
        """A path to write to; it becomes a segment at the end of a block without an error."""
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
        """What `look` finds in the segments that count; looks again if another process merged them meanwhile."""
        try:
            paths = self._all_segments()
            replaced = self._replaced(paths)
            return look([path for path in paths if path not in replaced])
        except FileNotFoundError:
            if not tries:
                raise
            return self._look(look, tries - 1)

    def _journaled(self) -> Iterator[Reply]:
        """The replies of all unfinished shards."""
        for path in sorted(self._journals.glob("*.jsonl")):
            yield from _replies(path)

    def _all_segments(self) -> list[Path]:
        return sorted(self._segments.glob("[!.]*.parquet"))

    def _replaced(self, paths: Iterable[Path]) -> set[Path]:
        """Segments whose replies are in a merged one too."""
        return {self._segments / name for path in paths for name in segments.replaces(path)}


def _of_attempt() -> str:
    """What the name of a journal ends with: nothing in a first attempt."""
    attempt = int(os.environ.get(ATTEMPT, "1"))
    return f".again-{attempt - 1}" if attempt > 1 else ""


def _replies(journal: Path) -> Iterator[Reply]:
    return (Reply(**line) for line in read_journal(journal))
