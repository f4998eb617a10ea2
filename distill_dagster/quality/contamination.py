"""What the held-out rows ask: three rules by which a training row asks it too.

    exact       equal after NFKC, case folding and punctuation to blanks          any length
    n-grams     8-grams of words that both have cover over half of the item       items of 8 words and more
    shingles    character 5-grams with a Jaccard index of 0.9 or more             items of up to 200 characters

    held out    "What's my PIN?"
    training    "what’s my pin"                                                   exact

An *item* is a held-out row. N-grams in more than `COMMON` items are a template that many of them share, and hold
nothing of what one item asks: neither they nor their words are counted (Brown et al. 2020, appendix C, ignore those in
more than 10 documents for the same reason). An item without any words left cannot be seen by that rule; `unseen` counts
them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_dagster.quality.prompt_keys import bare, contamination_key, question_of
from distill_dagster.quality.shingles import NO_BAND, Hashes, bands_of, jaccard, lengths_allow, shingles_of, template_of

WORDS = 8  # of an n-gram
COVERED = 0.5  # an item is contaminated where more than this share of its words is covered
COMMON = 10
SHORT = 200  # characters
ALIKE = 0.9

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Why a row is contaminated: the rule, and the sentence that names the item."""

    rule: str  # exact | n-grams | shingles
    item: str


@dataclass(slots=True)
class _Task:
    """The items of one task, ready to be looked up."""

    items: list[tuple[str, str]]  # name, text; sorted, so that the first match is always the same one
    grams: dict[Gram, list[int]] = field(default_factory=dict)  # own n-gram -> items
    words: list[set[int]] = field(default_factory=list)  # of each item, the places of those that it does not share
    vocabulary: dict[str, int] = field(default_factory=dict)
    codes: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))  # of own n-grams, sorted
    bands: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))  # of short items, sorted
    by_band: dict[int, list[int]] = field(default_factory=dict)


class HeldOut:
    """The test rows, and for training rows the validation rows too."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], what: str, *, near: bool, template: frozenset[str]) -> None:
        self.what, self.near, self.template = what, near, template
        self.exact: dict[tuple[str, ...], str] = {}
        texts: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            key = contamination_key(row)
            self.exact[key] = min(self.exact.get(key, row["row_id"]), row["row_id"])
            texts[row["task"]].append((row["row_id"], bare(question_of(row))))
        self.items = sum(map(len, texts.values()))
        self.tasks = {task: _index(sorted(items), template) for task, items in texts.items()} if near else {}

    @property
    def unseen(self) -> int:
        """Items that have no n-gram of their own."""
        return sum(not words for task in self.tasks.values() for words in task.words)

    def matches(
        self, tasks: Sequence[str], keys: Sequence[tuple[str, ...]], texts: Sequence[str], bands: Hashes
    ) -> dict[int, Match]:
        """The contaminated ones among rows of these tasks, contamination keys, bare questions and bands (rows, B)."""
        found: dict[int, Match] = {}
        for name in sorted(set(tasks) & set(self.tasks)):
            own = [i for i, task in enumerate(tasks) if task == name]
            near = self._near(self.tasks[name], [texts[i] for i in own], bands[own])
            found |= {own[i]: match for i, match in near.items()}
        for i, key in enumerate(keys):
            if key in self.exact:
                found[i] = Match("exact", f"{self.what} row {self.exact[key]!r} asks the same")
        return found

    def _near(self, task: _Task, texts: Sequence[str], bands: Hashes) -> dict[int, Match]:
        """Matches by shingles and by n-grams; a row that has both is named by n-grams."""
        found: dict[int, Match] = {}
        for i in np.flatnonzero(np.isin(bands, task.bands).any(axis=1)).tolist() if len(task.bands) else ():
            others = {item for band in bands[i].tolist() for item in task.by_band.get(band, ())}
            if match := self._by_shingles(task, texts[i], sorted(others)):
                found[i] = match
        for i in _sharing(task, texts):
            if match := self._by_grams(task, texts[i]):
                found[i] = match
        return found

    def _by_shingles(self, task: _Task, text: str, items: Sequence[int]) -> Match | None:
        asked = shingles_of(text, self.template)
        for item in items:
            name, other = task.items[item]
            if not lengths_allow(text, other, ALIKE):
                continue
            alike = jaccard(asked, shingles_of(other, self.template))
            if alike >= ALIKE:
                sentence = f"{self.what} row {name!r} asks nearly the same (character 5-gram Jaccard {alike:.2f})"
                return Match("shingles", sentence)
        return None

    def _by_grams(self, task: _Task, text: str) -> Match | None:
        covered: dict[int, set[int]] = defaultdict(set)  # item -> places of its words
        for gram in set(_grams(text.split())):
            for item in task.grams.get(gram, ()):
                words = task.items[item][1].split()
                covered[item] |= _covered(i for i, other in enumerate(_grams(words)) if other == gram)
        for item, places in sorted(covered.items()):
            own = task.words[item]
            share = len(places & own) / len(own) if own else 0
            if share > COVERED:
                name = task.items[item][0]
                return Match("n-grams", f"{self.what} row {name!r} shares 8-grams over {share:.0%} of its words")
        return None


def _grams(words: Sequence[str]) -> list[Gram]:
    """The word 8-grams of a text, in order; none of a shorter text."""
    return [tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)]


def _covered(places: Iterable[int]) -> set[int]:
    """The places of the words of the n-grams that begin there."""
    return {place + step for place in places for step in range(WORDS)}


def _index(items: list[tuple[str, str]], template: frozenset[str]) -> _Task:
    task = _Task(items)
    grams = [_grams(text.split()) for _, text in items]
    common = Counter(gram for own in grams for gram in set(own))
    for item, own in enumerate(grams):
        places = [i for i, gram in enumerate(own) if common[gram] <= COMMON]
        task.words.append(_covered(places) - _covered(i for i, gram in enumerate(own) if common[gram] > COMMON))
        for gram in {own[i] for i in places}:
            task.grams.setdefault(gram, []).append(item)
    for gram in task.grams:
        for word in gram:
            task.vocabulary.setdefault(word, len(task.vocabulary) + 1)
    ids = np.array([[task.vocabulary[word] for word in gram] for gram in task.grams], np.uint64).reshape(-1, WORDS)
    task.codes = np.unique(_codes(ids))
    short = [i for i, (_, text) in enumerate(items) if len(text) <= SHORT]
    bands = bands_of([items[i][1] for i in short], template)
    task.bands = np.setdiff1d(bands.ravel(), [NO_BAND])
    for item, own in zip(short, bands.tolist(), strict=True):
        for band in own if own[0] != NO_BAND else ():
            task.by_band.setdefault(band, []).append(item)
    return task


def _codes(ids: NDArray[np.uint64]) -> Hashes:
    """A number for each row of word ids (n, WORDS)."""
    codes = np.zeros(len(ids), np.uint64)
    for column in range(ids.shape[1]):
        codes = (codes ^ ids[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        codes ^= codes >> np.uint64(31)
    return codes


def _sharing(task: _Task, texts: Sequence[str]) -> list[int]:
    """Places of the texts that hold an n-gram of an item, and perhaps of some more: what is worth a closer look."""
    known = task.vocabulary.get
    ids = [[known(word, 0) for word in text.split()] for text in texts] if len(task.codes) else []
    lengths = np.array([len(own) for own in ids], np.int64)
    flat = np.fromiter((i for own in ids for i in own), np.uint64, int(lengths.sum()))
    if len(flat) < WORDS:
        return []
    row = np.repeat(np.arange(len(ids)), lengths)
    windows = np.lib.stride_tricks.sliding_window_view(flat, WORDS)
    whole = (row[: len(windows)] == row[WORDS - 1 :]) & (windows != 0).all(axis=1)
    hits = np.flatnonzero(whole)
    return np.unique(row[hits[np.isin(_codes(windows[hits]), task.codes)]]).tolist()


def template_sample(rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The shingles that are the template of one task's rows or another's; `rows` is a sample of all of them."""
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        texts[row["task"]].append(bare(question_of(row)))
    return frozenset().union(*(template_of(own) for own in texts.values()))
