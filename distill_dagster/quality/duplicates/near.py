"""Nearly equal prompts: candidates share a band, and the parts in which they differ decide.

    "I can't find my new card, can you help me with that please?"
    "I cant find my new card, can you help me with that please?"       near duplicates: 5-gram Jaccard of 0.9 or more

Two prompts about one passage, or two hypotheses on one premise, share nearly all of their characters and still ask two
things. So texts are compared sentence by sentence and line by line. Each pair of parts that differs must reach the
threshold and hold the same numbers, operators and negations ("I did", "I did not"). In a task with one right answer,
rows whose gold answers or teacher's answers differ are never duplicates.

Rows are compared in the order in which they are judged, and only with rows that were kept. So the order of the inputs
does not decide which row stays, and of a chain a ~ b ~ c only b goes if a and c differ.
"""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distill_dagster.quality.duplicates.prompt_keys import bare, fold
from distill_dagster.quality.duplicates.shingles import NO_BAND, Hashes, jaccard, lengths_allow, shingles_of

SEGMENT_END = re.compile(r"(?<=[.!?;])\s+|\n+")
DECIDES = re.compile(
    r"\d+|[+*/=<>%^−×÷-]|n['’]t\b"
    r"|\b(?:not|no|nor|never|none|nothing|nobody|neither|without|cannot"
    r"|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million)\b",
    re.IGNORECASE,
)
RECENT = 64  # texts whose parts are cached: one row is compared with several others in turn
COMPARED = 32  # kept rows of one band that a row is compared with, so that one template's rows do not cost n²


@dataclass(frozen=True, slots=True)
class Answered:
    """What distinguishes two rows with nearly equal prompts, in a task with one right answer; empty in other tasks."""

    answer: str | None = None
    gold: tuple[str, ...] = ()

    def agrees(self, other: "Answered") -> bool:
        """Whether the answers are equal and the gold answers do not differ; a row without gold differs from none."""
        return self.answer == other.answer and (not self.gold or not other.gold or self.gold == other.gold)


def near_duplicate(one: str, other: str, threshold: float) -> bool:
    """Whether each sentence of one text has a 5-gram Jaccard index of at least `threshold` with the other's."""
    if not lengths_allow(one, other, threshold):
        return False
    first, second = _segments(one), _segments(other)
    return len(first) == len(second) and all(
        fold(mine) == fold(its) or _alike(mine, its, threshold) for mine, its in zip(first, second, strict=True)
    )


@lru_cache(maxsize=RECENT)
def _segments(text: str) -> list[str]:
    return list(filter(str.strip, SEGMENT_END.split(text)))


def _alike(one: str, other: str, threshold: float) -> bool:
    (left, its), (right, others) = _shingled(one), _shingled(other)
    if left != right and jaccard(its, others) < threshold:
        return False
    return sorted(DECIDES.findall(fold(one))) == sorted(DECIDES.findall(fold(other)))


@lru_cache(maxsize=RECENT)
def _shingled(text: str) -> tuple[str, frozenset[str]]:
    plain = bare(text)
    return plain, shingles_of(plain)


class NearDuplicates:
    """Finds the kept row with nearly the same prompt; rows are numbered in the order in which they are judged.

    First `add` all rows, then `close`, then ask. Memory, for rows that share a band only: the text, 48 bytes for the
    row's buckets, and 4 bytes for each bucket that keeps it. All of it is allocated by `close`.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._bands: list[Hashes] = []
        self._texts: list[pa.Array] = []
        self._known: dict[Answered, Answered] = {}  # many rows have one answer

    def add(self, texts: Sequence[str], settings: Sequence[tuple[str, ...]], bands: Hashes) -> None:
        """Add the next rows: user texts, settings (only rows with equal ones are compared), and bands (rows, B)."""
        under = np.fromiter((hash(setting) % 2**64 for setting in settings), np.uint64, len(settings))
        self._bands.append(np.where(bands == NO_BAND, NO_BAND, bands ^ under[:, None]))
        self._texts.append(pa.array(texts, pa.large_string()))

    def close(self) -> None:
        """End adding: number the bands that several rows share, and free the texts of the other rows."""
        buckets, sizes = _number(self._bands)  # (rows, B), (buckets,)
        self._bands = []
        candidates = np.flatnonzero((buckets >= 0).any(axis=1))
        self._place = np.full(len(buckets), -1, np.int32)
        self._place[candidates] = np.arange(len(candidates))
        self._buckets = buckets[candidates]
        room = np.minimum(sizes, COMPARED)
        self._first = array("q", (np.cumsum(room) - room).tobytes())  # bucket -> first of its kept rows
        self._kept = array("i", bytes(4 * int(room.sum())))
        self._count = bytearray(len(room))  # bucket -> how many it keeps, at most COMPARED
        self._answered: list[Answered | None] = [None] * len(candidates)  # None: not kept
        texts = pa.chunked_array(self._texts, pa.large_string()).take(pa.array(candidates, pa.int64()))
        self._texts = []
        self._found = texts.combine_chunks()

    def kept_alike(self, row: int, answered: Answered) -> int | None:
        """The first kept row with nearly the same prompt, or None."""
        place = int(self._place[row])
        if place < 0:
            return None
        others: set[int] = set()
        for bucket in self._buckets[place].tolist():
            if bucket >= 0 and (count := self._count[bucket]):
                first = self._first[bucket]
                others.update(self._kept[first : first + count])
        own, alike = None, (other for other in sorted(others) if other != row)
        for other in alike:
            at = int(self._place[other])
            its = self._answered[at]
            assert its is not None, "only kept rows are in a bucket"
            if answered.agrees(its):
                own = own if own is not None else self._text(place)
                if near_duplicate(self._text(at), own, self.threshold):
                    return other
        return None

    def keep(self, row: int, answered: Answered) -> None:
        """Keep a row, so that later rows are compared with it."""
        place = int(self._place[row])
        if place < 0 or self._answered[place] is not None:
            return
        self._answered[place] = self._known.setdefault(answered, answered)
        for bucket in self._buckets[place].tolist():
            if bucket >= 0 and (count := self._count[bucket]) < COMPARED:
                self._kept[self._first[bucket] + count] = row
                self._count[bucket] = count + 1

    def _text(self, place: int) -> str:
        return self._found[place].as_py()


def _number(bands: Sequence[Hashes]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """For each band of each row its number if several rows share it, else -1, (rows, B); and rows by number, (n,)."""
    if not bands:
        return np.empty((0, 1), np.int32), np.empty(0, np.int64)
    numbers = np.empty((sum(map(len, bands)), bands[0].shape[1]), np.int32)
    sizes: list[NDArray[np.int64]] = []
    known = 0
    for column in range(numbers.shape[1]):
        values, inverse, counts = np.unique(
            np.concatenate([block[:, column] for block in bands]), return_inverse=True, return_counts=True
        )
        shared = (counts > 1) & (values != NO_BAND)
        of_value = np.where(shared, known - 1 + np.cumsum(shared), -1).astype(np.int32)
        numbers[:, column] = of_value[inverse]
        sizes.append(counts[shared])
        known += len(sizes[-1])
    return numbers, np.concatenate(sizes)
