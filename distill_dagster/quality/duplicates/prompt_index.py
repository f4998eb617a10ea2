"""The prompts of the raw rows, compared before any answer: equal ones, held-out ones, and ids of two different rows.

    raw rows   a "My PIN?"   a "My PIN?" (another shard)   b "my  pin?"   c "Cancel it"   d "x", and d "y" elsewhere
    number     0             -                             1              2               3
    slots      [0, …]        -                             [0, …]         [-1, …]         [-1, …]
    conflict                                                                              both shards

The index has one entry for each row id, numbered in the order of row ids. The rows are read twice: first to compare
them, which leaves files of numbers, and then, side by side with these files, as `entries`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from distill_dagster.config import QualityConfig
from distill_dagster.quality.duplicates import raw_rows
from distill_dagster.quality.duplicates.contamination import HeldOut, Match
from distill_dagster.quality.duplicates.prompt_keys import (
    bare,
    contamination_key,
    duplicate_key,
    setting_of,
    user_text_of,
)
from distill_dagster.quality.duplicates.prompts import Prompts, as_numbers
from distill_dagster.quality.duplicates.raw_rows import Row
from distill_dagster.quality.duplicates.shared_slots import SharedSlots
from distill_dagster.quality.duplicates.shingles import BANDS, NO_BAND, NO_TEMPLATE, bands_of
from distill_dagster.quality.spill import Spill


@dataclass(slots=True)
class Entry:
    """A raw row as its prompt was compared."""

    row: Row
    conflict: frozenset[str]  # shards, if different rows have its id
    match: Match | None  # with a held-out row
    slots: Sequence[int]  # where the rows of its prompt and of its bands are kept


class PromptIndex:
    """The prompts of sorted raw rows (RAW_USED, RAW_ORDER), compared with one another and with the held-out rows.

    `test` holds the test rows; training rows are also compared with the validation rows of `raw`.
    """

    def __init__(self, raw: Path, test: Iterable[Row], quality: QualityConfig, spill: Spill) -> None:
        self.raw, self._spill = raw, spill
        self.tasks = raw_rows.tasks_of(raw)
        self.rules: Counter[str] = Counter()  # rule -> contaminated rows; `entries` counts them
        near = quality.contamination == "near"
        self._has_bands = quality.near_duplicate_similarity is not None
        self._compares = self._has_bands or near
        self._template = raw_rows.template_in(raw, self.tasks) if self._compares else NO_TEMPLATE
        self.held_out = [
            HeldOut(rows, what, spill, near=near, template=self._template)
            for rows, what in ((test, "test"), (raw_rows.validation_rows(raw), "validation"))
        ]
        shared = SharedSlots(spill, BANDS if self._has_bands else 0)
        self.count = self._read(shared)
        self._slots, self.room = shared.close()

    def entries(self) -> Iterator[Entry]:
        """The first row of each id, in the order of row ids, to be taken to the end; matches with test rows precede."""
        slots = (row for block in self._slots.blocks() for row in block.tolist())
        matches = zip(*(_in_step(held_out.matches(), self.count) for held_out in self.held_out), strict=True)
        for (row, conflict), own, found in zip(raw_rows.by_id(raw_rows.rows_of(self.raw)), slots, matches, strict=True):
            match = next(filter(None, found), None) if not conflict else None
            if match is not None:
                self._count(match, found)
            yield Entry(row, conflict, match, own)

    def _count(self, match: Match, found: Sequence[Match | None]) -> None:
        self.rules[match.rule] += 1
        for held_out, one in zip(self.held_out, found, strict=True):
            if one is not None:
                held_out.count(one)

    def _read(self, shared: SharedSlots) -> int:
        """Compare all rows a block at a time; returns how many ids there are."""
        count = 0
        for rows in raw_rows.blocks_of(row for row, _ in raw_rows.by_id(raw_rows.rows_of(self.raw))):
            self._compare(rows, count, shared)
            count += len(rows)
        return count

    def _compare(self, rows: Sequence[Row], first: int, shared: SharedSlots) -> None:
        """Compare a block of rows, whose numbers start at `first`."""
        texts = [bare(user_text_of(row)) for row in rows] if self._compares else [""] * len(rows)
        bands = bands_of(texts, self._template) if self._compares else np.empty((len(rows), BANDS), np.uint64)
        settings = as_numbers(map(setting_of, rows))[:, :1] if self._has_bands else NO_BAND
        shared.add(as_numbers(map(duplicate_key, rows))[:, 0], np.where(bands == NO_BAND, NO_BAND, bands ^ settings))
        keys = as_numbers(contamination_key(row, text) for row, text in zip(rows, texts, strict=True))
        tasks = np.array([row["task"] for row in rows])
        prompts = Prompts(np.arange(first, first + len(rows)), tasks, keys, texts, bands)
        test, validation = self.held_out
        test.enter(prompts)
        validation.enter(prompts[np.array([row["split"] != "validation" for row in rows], bool)])


def _in_step(matches: Iterator[tuple[int, Match]], count: int) -> Iterator[Match | None]:
    """The match of each of `count` rows, or None."""
    after = 0
    for number, match in matches:
        yield from repeat(None, number - after)
        yield match
        after = number + 1
    yield from repeat(None, count - after)
