"""Training rows whose prompt a held-out row has too, by three rules.

    exact       equal after NFKC, case folding, and punctuation replaced by spaces  any length
    n-grams     shared 8-grams of words cover more than half of the item            items of 8 words and more
    shingles    character 5-grams with a Jaccard index of 0.9 or more               items of up to 200 characters

    held out    "What's my PIN?"
    training    "what’s my pin"                                                     exact

An *item* is a held-out row. N-grams in more than `COMMON` items, or in more than `COMMON` rows, belong to a template
and say nothing about one item, so neither they nor their words count (for the same reason Brown et al. 2020, appendix
C, ignore n-grams in more than 10 training documents). The rule cannot see an item that has no other words; `unseen`
counts such items.

The index of the items is in memory. What the rows have of it is in files, in the order of the rows.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from distill_dagster.quality.duplicates.held_out_items import HeldOutItems
from distill_dagster.quality.duplicates.item_grams import ItemGrams
from distill_dagster.quality.duplicates.prompt_keys import bare, user_text_of
from distill_dagster.quality.duplicates.prompts import Prompts
from distill_dagster.quality.duplicates.shingles import NO_TEMPLATE, template_of
from distill_dagster.quality.duplicates.short_items import ShortItems
from distill_dagster.quality.spill import Spill

COVERED = 0.5  # an item is contaminated if more than this share of its words is covered
RULES = ("exact", "n-grams", "shingles")  # the first that applies counts
EXACT, GRAMS, SHINGLES = range(len(RULES))
HIT = np.dtype([("number", "i8"), ("rule", "i1"), ("item", "i4"), ("value", "f8")])

Hit = tuple[int, int, int, float]  # a row of `HIT`


@dataclass(frozen=True, slots=True)
class Match:
    """Why a row is contaminated: the rule, the sentence that names the item, and what applies to the row at all."""

    rule: str
    item: str
    hits: Sequence[Hit]


class HeldOut:
    """Held-out rows, test or validation (`what`): `enter` the other rows, then `matches` names those that clash."""

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        what: str,
        spill: Spill,
        *,
        near: bool,
        template: frozenset[str] = NO_TEMPLATE,
    ) -> None:
        self.what, self.near = what, near
        self.items = HeldOutItems(rows)
        self._tasks = [_TaskItems(what, spill, *own, template) for own in self.items.by_task()] if near else []
        self._hits = spill.numbers(f"{what}-hits", HIT)
        self.unseen = 0  # items without an n-gram of their own; `matches` counts them
        self.copied: set[str] = set()  # ids of the items of all matches that were counted
        self._counted: set[int] = set()  # items of exact matches

    def enter(self, prompts: Prompts) -> None:
        """Look at some rows."""
        numbers = prompts.numbers.tolist()
        hits = [(numbers[at], EXACT, item, 1.0) for at, item in self.items.find(prompts.keys)]
        for task in self._tasks:
            hits += task.look(prompts)
        self._hits.append(np.array(sorted(hits), HIT))

    def matches(self) -> Iterator[tuple[int, Match]]:
        """The number and the match of each contaminated row, in order."""
        self.unseen = sum(task.close() for task in self._tasks)
        by_task = [task.by_grams() for task in self._tasks]
        hits = chain.from_iterable(block.tolist() for block in self._hits.blocks())
        for number, group in groupby(heapq.merge(hits, *by_task), key=itemgetter(0)):
            own = list(group)
            yield number, Match(RULES[own[0][1]], self._sentence(*own[0][1:]), own)

    def count(self, match: Match) -> None:
        """Note which items a row copies."""
        for _, rule, item, _ in match.hits:
            if rule != EXACT:
                self.copied.add(self.items.name(item))
            elif item not in self._counted:
                self._counted.add(item)
                self.copied.update(self.items.with_key_of(item))

    def _sentence(self, rule: int, item: int, value: float) -> str:
        row = f"{self.what} row {self.items.name(item)!r}"
        if rule == EXACT:
            return f"{row} asks the same"
        if rule == GRAMS:
            return f"{row} shares 8-grams over {value:.0%} of its words"
        return f"{row} asks nearly the same (character 5-gram Jaccard {value:.2f})"


class _TaskItems:
    """The items of one task, from `first` on, and what the rows of the task share with them."""

    def __init__(
        self, what: str, spill: Spill, task: str, first: int, texts: pa.Array, template: frozenset[str]
    ) -> None:
        self.task, self.first = task, first
        self._short, self._grams = ShortItems(texts, template), ItemGrams(texts)
        self._seen = spill.numbers(f"{what}-{task}-grams", np.int64, 2)  # (row, n-gram)

    def look(self, prompts: Prompts) -> Iterator[Hit]:
        """What rows nearly repeat; their n-grams are kept for later."""
        own = prompts[prompts.tasks == self.task]
        shared = self._grams.shared(own.texts)
        self._seen.append(np.stack([own.numbers[shared[:, 0]], shared[:, 1]], axis=1))
        numbers = own.numbers.tolist()
        for at, item, alike in self._short.near(own.texts, own.bands):
            yield numbers[at], SHINGLES, self.first + item, alike

    def close(self) -> int:
        """End looking; returns how many items have no n-gram of their own."""
        return self._grams.close()

    def by_grams(self) -> Iterator[Hit]:
        """The rows whose n-grams cover an item's own words, in order."""
        blocks = (block[~self._grams.common[block[:, 1]]].tolist() for block in self._seen.blocks())
        for number, pairs in groupby(chain.from_iterable(blocks), key=itemgetter(0)):
            for item, share in self._grams.covers(gram for _, gram in pairs):
                if share > COVERED:
                    yield number, GRAMS, self.first + item, share


def template_sample(rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The template shingles of any task; `rows` is a sample of the rows of all tasks."""
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        texts[row["task"]].append(bare(user_text_of(row)))
    return frozenset().union(*(template_of(own) for own in texts.values()))
