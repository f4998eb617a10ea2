"""The held-out rows of one task (items), indexed so that many texts can be compared with them at once.

    item     "can you help me with my new card please ok"
    n-grams  ("can", "you", "help", "me", "with", "my", "new", "card") at word 0, and so on
    bands    of its shingles, because it is short (shingles.py)

Words have numbers and n-grams have hashes, so the n-grams of a block of texts are looked up as arrays.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from distill_dagster.quality.duplicates.shingles import NO_BAND, Hashes, Sieve, bands_of, shingles_of

WORDS = 8  # of an n-gram
SHORT = 200  # characters

Gram = tuple[str, ...]
NOTHING: Hashes = np.empty(0, np.uint64)


@dataclass(slots=True)
class TaskItems:
    """The items of one task, indexed for look-up, and the n-grams that rows share with them."""

    items: list[tuple[str, str]]  # row id, bare text; sorted, so that the first match is always the same
    vocabulary: dict[str, int] = field(default_factory=dict)
    codes: Sieve = field(default_factory=lambda: Sieve(NOTHING))  # of all n-grams
    places: list[list[tuple[int, int]]] = field(default_factory=list)  # n-gram -> item, and the word where it begins
    bands: Sieve = field(default_factory=lambda: Sieve(NOTHING))  # of short items
    by_band: dict[int, list[int]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)  # short item -> how many shingles it has
    seen: list[NDArray[np.int64]] = field(default_factory=list)  # (row, n-gram) pairs, (n, 2)


def _grams(words: Sequence[str]) -> list[Gram]:
    """The word 8-grams of a text, in order; a shorter text has none."""
    return [tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)]


def own_words(task: TaskItems, common: Sequence[bool]) -> list[set[int]]:
    """For each item the positions of the words that only uncommon n-grams hold."""
    own: list[set[int]] = [set() for _ in task.items]
    shared: list[set[int]] = [set() for _ in task.items]
    for gram, places in enumerate(task.places):
        for item, place in places:
            (shared if common[gram] else own)[item].update(range(place, place + WORDS))
    return [mine - others for mine, others in zip(own, shared, strict=True)]


def index_items(items: list[tuple[str, str]], template: frozenset[str]) -> TaskItems:
    """The index of (row id, bare text) pairs."""
    task = TaskItems(items)
    grams: dict[Gram, list[tuple[int, int]]] = defaultdict(list)
    for item, (_, text) in enumerate(items):
        for place, gram in enumerate(_grams(text.split())):
            grams[gram].append((item, place))
    for gram in grams:
        for word in gram:
            task.vocabulary.setdefault(word, len(task.vocabulary) + 1)
    ids = np.array([[task.vocabulary[word] for word in gram] for gram in grams], np.uint64).reshape(-1, WORDS)
    codes = _codes(ids.T)
    order = np.argsort(codes)
    found = list(grams.values())
    task.codes, task.places = Sieve(codes[order]), [found[i] for i in order]
    short = [i for i, (_, text) in enumerate(items) if len(text) <= SHORT]
    bands = bands_of([items[i][1] for i in short], template)
    task.bands = Sieve(np.setdiff1d(bands.ravel(), [NO_BAND]))
    task.sizes = {i: len(shingles_of(items[i][1], template)) for i in short}
    for item, own in zip(short, bands.tolist(), strict=True):
        for band in own if own[0] != NO_BAND else ():
            task.by_band.setdefault(band, []).append(item)
    return task


def _codes(columns: Iterable[NDArray[np.uint64]]) -> Hashes:
    """A number for each n-gram of word ids; `columns` holds all first words, then all second words, and so on."""
    codes = np.uint64(0)
    for column in columns:
        codes = (codes ^ column) * np.uint64(0x9E3779B97F4A7C15)
        codes ^= codes >> np.uint64(31)
    return codes  # pyright: ignore[reportReturnType]  # an array, since there are columns


def shared_grams(task: TaskItems, texts: Sequence[str]) -> NDArray[np.int64]:
    """(text, n-gram) for every item's n-gram that a text contains, once each, (n, 2)."""
    words = " ".join(texts).split() if task.places else []
    if len(words) < WORDS:
        return np.empty((0, 2), np.int64)
    ids = np.fromiter(map(task.vocabulary.get, words, repeat(0)), np.uint64, len(words))
    row = np.repeat(np.arange(len(texts)), [text.count(" ") + 1 if text else 0 for text in texts])
    unknown = np.concatenate([[0], np.cumsum(ids == 0)])
    last = len(words) - WORDS + 1
    at = np.flatnonzero((row[:last] == row[WORDS - 1 :]) & (unknown[:last] == unknown[WORDS:]))
    hits, grams = task.codes.find(_codes(ids[at + place] for place in range(WORDS)))
    pairs = np.unique(row[at[hits]] * len(task.places) + grams)
    return np.stack(np.divmod(pairs, len(task.places)), axis=1)
