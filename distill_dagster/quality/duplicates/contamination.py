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
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_dagster.quality.duplicates.held_out_items import WORDS, TaskItems, index_items, own_words, shared_grams
from distill_dagster.quality.duplicates.prompt_keys import bare, contamination_key, user_text_of
from distill_dagster.quality.duplicates.shingles import (
    NO_TEMPLATE,
    Hashes,
    jaccard,
    lengths_allow,
    shingles_of,
    template_of,
)

COVERED = 0.5  # an item is contaminated if more than this share of its words is covered
COMMON = 10
ALIKE = 0.9


@dataclass(frozen=True, slots=True)
class Match:
    """Why a row is contaminated: the rule, and the sentence that names the item."""

    rule: str  # exact | n-grams | shingles
    item: str


class HeldOut:
    """Held-out rows, test or validation (`what`): `enter` the other rows, then `matches` names those that clash."""

    def __init__(
        self, rows: Iterable[Mapping[str, Any]], what: str, *, near: bool, template: frozenset[str] = NO_TEMPLATE
    ) -> None:
        self.what, self.near, self.template = what, near, template
        self.exact: dict[tuple[str, ...], list[str]] = defaultdict(list)  # sorted ids
        self.copied: dict[int, set[str]] = defaultdict(set)  # number -> ids that the row copies; see `matches`
        texts: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            insort(self.exact[contamination_key(row)], row["row_id"])
            texts[row["task"]].append((row["row_id"], bare(user_text_of(row))))
        self.items = sum(map(len, texts.values()))
        self.unseen = 0  # items without an n-gram of their own; `matches` counts them
        self._tasks = {task: index_items(sorted(items), template) for task, items in texts.items()} if near else {}
        self._found: dict[int, Match] = {}

    def enter(
        self,
        numbers: Sequence[int],
        tasks: Sequence[str],
        keys: Sequence[tuple[str, ...]],
        texts: Sequence[str],
        bands: Hashes,
    ) -> None:
        """Look at some rows: their numbers, tasks, contamination keys, bare user texts, and bands (rows, B)."""
        for name in sorted(set(tasks) & set(self._tasks)):
            own = [i for i, task in enumerate(tasks) if task == name]
            self._look(self._tasks[name], [numbers[i] for i in own], [texts[i] for i in own], bands[own])
        for number, key in zip(numbers, keys, strict=True):
            if key in self.exact:
                self.copied[number].update(self.exact[key])
                self._found[number] = Match("exact", f"{self.what} row {self.exact[key][0]!r} asks the same")

    def matches(self) -> dict[int, Match]:
        """Number -> match of each contaminated row; if several rules apply, exact precedes n-grams, then shingles.

        Then `copied` is complete: it names all items that a row copies, by any rule.
        """
        for task in self._tasks.values():
            seen = np.concatenate([np.empty((0, 2), np.int64), *task.seen])
            common = np.bincount(seen[:, 1], minlength=len(task.places)) > COMMON
            common |= np.array([len({item for item, _ in own}) > COMMON for own in task.places], bool)
            words = own_words(task, common.tolist())
            self.unseen += sum(not own for own in words)
            for number, match in self._by_grams(task, seen[~common[seen[:, 1]]], words).items():
                if number not in self._found or self._found[number].rule == "shingles":
                    self._found[number] = match
        return self._found

    def _look(self, task: TaskItems, numbers: Sequence[int], texts: Sequence[str], bands: Hashes) -> None:
        for i in map(int, np.unique(task.bands.find(bands.ravel())[0] // bands.shape[1])):
            others = {item for band in bands[i].tolist() for item in task.by_band.get(band, ())}
            if match := self._by_shingles(task, numbers[i], texts[i], sorted(others)):
                self._found[numbers[i]] = match
        pairs = shared_grams(task, texts)
        task.seen.append(np.stack([np.array(numbers, np.int64)[pairs[:, 0]], pairs[:, 1]], axis=1))

    def _by_shingles(self, task: TaskItems, number: int, text: str, items: Sequence[int]) -> Match | None:
        asked, found = shingles_of(text, self.template), None
        for item in items:
            name, other = task.items[item]
            fewer, more = sorted((len(asked), task.sizes[item]))
            if fewer < ALIKE * more - 1 or not lengths_allow(text, other, ALIKE):  # no index is above fewer / more
                continue
            alike = jaccard(asked, shingles_of(other, self.template))
            if alike >= ALIKE:
                self.copied[number].add(name)
                sentence = f"{self.what} row {name!r} asks nearly the same (character 5-gram Jaccard {alike:.2f})"
                found = found or Match("shingles", sentence)
        return found

    def _by_grams(self, task: TaskItems, seen: NDArray[np.int64], words: Sequence[set[int]]) -> dict[int, Match]:
        """Rows whose n-grams cover an item's own words; `seen` holds (row, n-gram), `words` each item's own words."""
        found: dict[int, Match] = {}
        order = seen[np.lexsort((seen[:, 1], seen[:, 0]))]
        for number, pairs in groupby(order.tolist(), key=lambda pair: pair[0]):
            covered: dict[int, set[int]] = defaultdict(set)
            for _, gram in pairs:
                for item, place in task.places[gram]:
                    covered[item].update(range(place, place + WORDS))
            for item, places in sorted(covered.items()):
                share = len(places & words[item]) / len(words[item]) if words[item] else 0
                if share > COVERED:
                    name = task.items[item][0]
                    self.copied[number].add(name)
                    sentence = f"{self.what} row {name!r} shares 8-grams over {share:.0%} of its words"
                    found.setdefault(number, Match("n-grams", sentence))
        return found


def template_sample(rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The template shingles of any task; `rows` is a sample of the rows of all tasks."""
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        texts[row["task"]].append(bare(user_text_of(row)))
    return frozenset().union(*(template_of(own) for own in texts.values()))
