"""Prompts that ask nearly the same: found by their bands, decided by what differs in them.

    "I can't find my new card, can you help me with that please?"
    "I cant find my new card, can you help me with that please?"       near duplicates: 5-gram Jaccard of 0.9 or more

One passage with two questions, or one premise with two hypotheses, is alike in nearly all of its characters and asks
two things. So texts are compared sentence by sentence and line by line, and each pair that differs must be as alike. It
must also hold the same numbers, operators and negations ("I did", "I did not"). Rows of a task with one right answer
are no duplicates where their gold answers differ, or what the teacher answered.

Rows are compared in the order in which they are judged, and only with rows that were kept: which row stays does not
depend on the order of the inputs, and a chain of a ~ b ~ c loses b and keeps c if a and c differ.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distill_dagster.quality.prompt_keys import bare, fold
from distill_dagster.quality.shingles import NO_BAND, Hashes, jaccard, lengths_allow, shingles_of

SEGMENT_END = re.compile(r"(?<=[.!?;])\s+|\n+")
DECIDES = re.compile(
    r"\d+|[+*/=<>%^−×÷-]|n['’]t\b"
    r"|\b(?:not|no|nor|never|none|nothing|nobody|neither|without|cannot"
    r"|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million)\b",
    re.IGNORECASE,
)
COMPARED = 32  # kept rows of one band that a row is compared with: keeps one template's rows from costing their square


@dataclass(frozen=True, slots=True)
class Answered:
    """What tells the questions of two rows apart, where the task has one right answer; else both are empty."""

    answer: str | None = None
    gold: tuple[str, ...] = ()

    def agrees(self, other: "Answered") -> bool:
        """The same answer, and no two different gold answers."""
        return self.answer == other.answer and (not self.gold or not other.gold or self.gold == other.gold)


def near_duplicate(one: str, other: str, threshold: float) -> bool:
    """Whether each sentence of one question has a 5-gram Jaccard index of at least `threshold` with the other's."""
    if not lengths_allow(one, other, threshold):
        return False
    first, second = (list(filter(str.strip, SEGMENT_END.split(text))) for text in (one, other))
    return len(first) == len(second) and all(
        fold(mine) == fold(its) or _alike(mine, its, threshold) for mine, its in zip(first, second, strict=True)
    )


def _alike(one: str, other: str, threshold: float) -> bool:
    if sorted(DECIDES.findall(fold(one))) != sorted(DECIDES.findall(fold(other))):
        return False
    left, right = bare(one), bare(other)
    return left == right or jaccard(shingles_of(left), shingles_of(right)) >= threshold


class NearDuplicates:
    """Which kept row asks nearly the same as a row; rows are named by their place in the order of judging."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._bands: list[Hashes] = []
        self._texts: list[pa.Array] = []
        self._kept: dict[int, list[int]] = defaultdict(list)  # bucket -> kept rows
        self._answered: dict[int, Answered] = {}  # kept row -> what it was answered

    def add(self, texts: Sequence[str], settings: Sequence[tuple[str, ...]], bands: Hashes) -> None:
        """The next rows: their questions, what they are asked under (equal or never compared), and bands (rows, B)."""
        under = np.fromiter((hash(setting) % 2**64 for setting in settings), np.uint64, len(settings))
        self._bands.append(np.where(bands == NO_BAND, NO_BAND, bands ^ under[:, None]))
        self._texts.append(pa.array(texts, pa.large_string()))

    def close(self) -> None:
        """All rows are in: number the bands that several rows share, and forget the other rows' texts."""
        bands = np.concatenate(self._bands) if self._bands else np.empty((0, 1), np.uint64)
        self._buckets = np.full(bands.shape, -1, np.int64)
        for column in range(bands.shape[1]):
            self._buckets[:, column] = _shared(bands[:, column], column * len(bands))
        self._bands = []
        candidates = np.flatnonzero((self._buckets >= 0).any(axis=1))
        self._place = np.full(len(bands), -1, np.int64)
        self._place[candidates] = np.arange(len(candidates))
        texts = pa.chunked_array(self._texts, pa.large_string()).take(pa.array(candidates, pa.int64()))
        self._texts = []
        self._found = texts.combine_chunks()

    def text(self, row: int) -> str:
        """The question of a row that shares a band."""
        return self._found[int(self._place[row])].as_py()

    def kept_alike(self, row: int, answered: Answered) -> int | None:
        """The first kept row that asks nearly the same."""
        if self._place[row] < 0:
            return None
        buckets = (bucket for bucket in self._buckets[row].tolist() if bucket >= 0)
        others = {other for bucket in buckets for other in self._kept.get(bucket, ())} - {row}
        text = self.text(row) if others else ""
        alike = (
            other
            for other in sorted(others)
            if answered.agrees(self._answered[other]) and near_duplicate(self.text(other), text, self.threshold)
        )
        return next(alike, None)

    def keep(self, row: int, answered: Answered) -> None:
        """Later rows are compared with this one."""
        if self._place[row] < 0 or row in self._answered:
            return
        self._answered[row] = answered
        for bucket in self._buckets[row].tolist():
            if bucket >= 0 and len(self._kept[bucket]) < COMPARED:
                self._kept[bucket].append(row)


def _shared(values: Hashes, first: int) -> NDArray[np.int64]:
    """A number from `first` on for each value that occurs twice or more, -1 for the others and for NO_BAND."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.where((counts[inverse] > 1) & (values != NO_BAND), inverse + first, -1)
