"""Every reply that a project has paid for, found by the hash of its request, whichever shard or run asked it.

    store/responses/
      journals/train-part-00.jsonl     replies of a shard that is being generated; appended at once
      segments/17689….parquet          replies of finished shards; a file never changes
      smoke/77b0….json                 the teachers and prompts that passed the smoke gate
      removed/prompts.json             since when the rows of stored replies are gone (clearing/replies.py)

A row that moves to another shard, a renamed shard and a fixed parser cost no call, because all of them look up the same
hashes. `distill-dagster gc` alone deletes a reply; after the folder is deleted, every request is paid for again.
"""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from distill_dagster.errors import DataError
from distill_dagster.process import ATTEMPT
from distill_dagster.store import parquet, schemas
from distill_dagster.store.artefacts import check_key
from distill_dagster.store.documents import Documents
from distill_dagster.store.hashing import storable
from distill_dagster.store.objects.backend import MIRROR
from distill_dagster.store.places import BucketFolder, Place, documents_in, place_of
from distill_dagster.teachers import segments
from distill_dagster.teachers.bucket_shelf import BucketShelf
from distill_dagster.teachers.journal import ReplyLog, read_journal
from distill_dagster.teachers.protocol import Reply
from distill_dagster.teachers.shelf import LocalShelf, Shelf
from distill_dagster.teachers.usage import MOST

MOST_SMALL = 64  # small segments that stay unmerged: each lookup opens every segment
BESIDE = ("batches", "smoke", "removed")  # folders of small texts
Found = TypeVar("Found")


class SealedReplies(NamedTuple):
    """Three columns of a segment, and its bytes."""

    hashes: pa.ChunkedArray
    times: pa.ChunkedArray  # ISO 8601
    prompts: pa.ChunkedArray
    size: int


class Responses:
    """The replies of one project, in the folder `place` of its store; a text is that of a spec."""

    def __init__(self, place: Place | str) -> None:
        self._place = place_of(place)
        self._shelf = _shelf_of(self._place)

    def documents(self, folder: str) -> Documents:
        """The small texts in a folder beside the replies."""
        return documents_in(self._place, folder)

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
    def journal(self, name: str) -> Iterator[ReplyLog]:
        """The journal of a shard; at the end of a block without an error its replies become a segment.

        A second attempt of the work, on another machine, has a journal of its own. That of the first may be locked for
        ever by a machine that hangs, and its replies are found there.
        """
        own = f"{check_key(name)}{_of_attempt()}"
        with self._shelf.journal(own) as log:
            yield log
            log.sync()
            self._seal(own)

    def sealed(self) -> Iterator[SealedReplies]:
        """What identifies the replies of finished shards, segment by segment; DataError if one is damaged."""
        for path in self._look(list):
            with contextlib.suppress(FileNotFoundError):  # merged meanwhile: it is looked at the next time
                hashes, times = segments.column(path, "request_hash"), segments.column(path, "created_at")
                yield SealedReplies(hashes, times, segments.prompts(path), path.stat().st_size)

    def unfinished(self) -> set[str]:
        """The requests whose replies a journal holds. A kill while it is sealed leaves them in a segment too."""
        return {reply.request_hash for reply in self._journaled()}

    def delete(self, hashes: Sequence[str]) -> int:
        """Delete the replies to these requests from the finished shards; returns how many. What they cost still counts.

        Those that a journal holds too stay: without its rows in a segment, the journal would be sealed once more, and
        count twice. A process that is killed in between leaves each segment as it was, or without them.
        """
        deleted = 0
        with self._shelf.merging():
            self._shelf.drop_segments(_replaced(self._shelf.segments()))  # left by one that was killed
            paths = self._shelf.segments()  # before the journals: what is sealed meanwhile is left alone
            wanted = pa.array(sorted(set(hashes) - self.unfinished()), pa.string())
            for path in paths:
                if segments.compute.any(segments.compute.is_in(segments.column(path, "request_hash"), wanted)).as_py():
                    with self._shelf.new_segment() as rest:
                        deleted += segments.write_without(path, rest, wanted)
                    self._shelf.drop_segments([path])
        return deleted

    def tidy(self) -> None:
        """Delete what killed processes left of the files that they wrote, a day later."""
        self._shelf.tidy()

    def copy_to(self, other: "Responses") -> int:
        """Copy all replies, and the small texts beside them, to another place; returns how many files were new there.

        Replies that move meanwhile, from a journal to a segment and from there to a merged one, are found behind them.

        Raises:
            DataError: a file did not arrive as it is, or a place cannot be used.
        """
        new = sum(_adopted_lines(other._shelf, path) for path in self._shelf.unsent())
        new += sum(_adopted(other._shelf, path, self._shelf.name_of(path)) for path in self._shelf.journals())
        seen = set[Path]()
        while paths := [path for path in self._shelf.segments() if path not in seen]:
            new += sum(_adopted(other._shelf, path) for path in paths)
            seen.update(paths)
        for folder in BESIDE:
            here, there = self.documents(folder), other.documents(folder)
            for name in (name for name in here.names() if there.read(name) is None):
                there.write(name, here.read(name) or "")
                new += 1
        return new

    def _seal(self, name: str) -> None:
        """Turn a journal into a segment. After a kill in between both hold the same replies, which count once."""
        paths = self._shelf.lines_of(name)
        lines = (reply for path in paths for reply in _replies(path))
        replies = [reply for reply in lines if reply.ok or reply.cost_usd or reply.received is not None]
        unsealed = self._look(lambda paths: segments.unsealed(replies, paths)) if replies else []
        if unsealed:
            with self._shelf.new_segment() as path:
                parquet.write_table(path, [reply._asdict() for reply in unsealed], schemas.RESPONSE)
        self._shelf.drop_lines(paths)
        if len(self._look(segments.small)) > MOST_SMALL:
            with self._shelf.merging():
                small = self._look(segments.small)  # another process may have merged them meanwhile
                if len(small) > MOST_SMALL:
                    self._merge(small)

    def _merge(self, small: list[Path]) -> None:
        """Put many segments into one, which names those that it replaces: after a kill in between they count once."""
        self._shelf.drop_segments(_replaced(self._shelf.segments()))  # left by a merge that was killed
        schema = segments.schema_of(small, math.fsum(map(segments.deleted_usd, small)))
        with self._shelf.new_segment() as merged, pq.ParquetWriter(merged, schema, compression="zstd") as writer:
            for path in small:
                writer.write_table(segments.read(path), row_group_size=parquet.ROWS_PER_GROUP)
        self._shelf.drop_segments(small)

    def _look(self, look: Callable[[list[Path]], Found], tries: int = 3) -> Found:
        """What `look` finds in the segments that count; looks again if another process merged them meanwhile."""
        try:
            paths = self._shelf.segments()
            replaced = _replaced(paths)
            return look([path for path in paths if path not in replaced])
        except FileNotFoundError:
            if not tries:
                raise
            return self._look(look, tries - 1)

    def _journaled(self) -> Iterator[Reply]:
        """The replies of all unfinished shards."""
        for path in self._shelf.journals():
            yield from _replies(path)


def _shelf_of(place: Place) -> Shelf:
    """The files of the replies in a folder, or in a folder of a bucket."""
    if isinstance(place, BucketFolder):
        return BucketShelf(place.bucket, place.path, place.local / MIRROR / place.path, place.local / "unsent")
    return LocalShelf(place)


def _adopted(shelf: Shelf, path: Path, journal: str | None = None) -> bool:
    """Add a file to a shelf; False if it was there, or was sealed or merged meanwhile."""
    try:
        return shelf.adopt(path, journal)
    except (FileNotFoundError, DataError):
        if path.exists():
            raise
        return False


def _adopted_lines(shelf: Shelf, unsent: Path) -> bool:
    """Add the whole lines of a file that a process may be writing."""
    lines = [json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in read_journal(unsent)]
    with tempfile.TemporaryDirectory(prefix="distill-unsent-") as folder:
        whole = Path(folder, unsent.name)
        whole.write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
        return bool(lines) and shelf.adopt(whole, unsent.parent.name)


def _replaced(paths: Iterable[Path]) -> set[Path]:
    """Segments whose replies are in a merged one too."""
    return {path.with_name(name) for path in paths for name in segments.replaces(path)}


def _of_attempt() -> str:
    """What the name of a journal ends with: nothing in a first attempt."""
    attempt = int(os.environ.get(ATTEMPT, "1"))
    return f".again-{attempt - 1}" if attempt > 1 else ""


def _replies(journal: Path) -> Iterator[Reply]:
    for line in read_journal(journal):
        try:
            reply = Reply._make(map(_healed, Reply(**line)))
            if not _is_sound(reply):
                raise TypeError("a field has the wrong type")
        except TypeError as e:
            raise DataError(
                f"{journal} holds a line that is no reply ({e}); delete that line: its request is sent again"
            ) from e
        yield reply


def _healed(value: object) -> object:
    """Without halves of surrogate pairs, which no table can hold: an older version left them in a line."""
    return storable(value) if isinstance(value, str) else value


def _is_sound(reply: Reply) -> bool:
    """Whether the fields are such that sums and tables can be made of them."""
    counts = (reply.prompt_tokens, reply.completion_tokens, reply.attempts)
    numbers = (reply.latency_ms, reply.cost_usd)
    texts = (reply.request_hash, reply.finish_reason, reply.teacher, reply.teacher_revision)
    others = (reply.text, reply.reasoning, reply.logprobs, reply.error_code, reply.error, reply.created_at)
    return (
        all(isinstance(count, int) and 0 <= count <= MOST for count in counts)
        and all(isinstance(number, int | float) and abs(number) < math.inf for number in numbers)
        and all(isinstance(text, str) for text in texts)
        and all(text is None or isinstance(text, str) for text in others)
    )
