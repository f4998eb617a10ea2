"""The word n-grams of held-out rows (items), looked up in many texts at once.

    item     "can you help me with my new card please ok"
    n-grams  ("can", "you", "help", "me", "with", "my", "new", "card") at word 0, and so on

Words have numbers, and n-grams are hashes of these, so those of a block of texts are looked up as arrays.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distill_dagster.quality.duplicates.lists import Ints, Lists, text_blocks
from distill_dagster.quality.duplicates.shingles import Hashes, Sieve

WORDS = 8  # of an n-gram
COMMON = 10


def grams_of(texts: Sequence[str], number: Callable[[str], int]) -> tuple[Ints, Ints, Hashes, Ints]:
    """All n-grams of known words: their texts, their first words' places there, and their codes; and words by text.

    `number` numbers a word, from 1; an unknown one has 0.
    """
    words = " ".join(texts).split()
    lengths: Ints = np.array([text.count(" ") + 1 if text else 0 for text in texts], np.int64)
    ids = np.fromiter(map(number, words), np.uint64, len(words))
    owner = np.repeat(np.arange(len(texts)), lengths)
    last = max(0, len(words) - WORDS + 1)
    unknown = np.concatenate([[0], np.cumsum(ids == 0)])
    at = np.flatnonzero((owner[:last] == owner[WORDS - 1 :]) & (unknown[:last] == unknown[WORDS:]))
    begins = np.cumsum(lengths) - lengths
    return owner[at], at - begins[owner[at]], _codes([ids[at + place] for place in range(WORDS)]), lengths


def _codes(columns: Iterable[NDArray[np.uint64]]) -> Hashes:
    """A number for each n-gram of word ids; `columns` holds all first words, then all second words, and so on."""
    codes = np.uint64(0)
    for column in columns:
        codes = (codes ^ column) * np.uint64(0x9E3779B97F4A7C15)
        codes ^= codes >> np.uint64(31)
    return codes  # pyright: ignore[reportReturnType]  # an array, since there are columns


class ItemGrams:
    """The n-grams of the items `texts`, and how many rows share each."""

    def __init__(self, texts: pa.Array) -> None:
        self._vocabulary: dict[str, int] = {}
        parts = [self._part(*block) for block in text_blocks(texts)]
        items, places, codes, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
        self._starts: Ints = np.concatenate([[0], np.cumsum(lengths)])  # item -> its first word among all
        known, grams = np.unique(codes, return_inverse=True)
        self._codes = Sieve(known)
        self._places = Lists(grams, np.stack([items, places], axis=1).astype(np.int32), len(known))
        self._rows: Ints = np.zeros(len(known), np.int64)

    def _part(self, start: int, texts: list[str]) -> tuple[Ints, Ints, Hashes, Ints]:
        known = self._vocabulary
        items, places, codes, lengths = grams_of(texts, lambda word: known.setdefault(word, len(known) + 1))
        return items + start, places, codes, lengths

    def shared(self, texts: Sequence[str]) -> Ints:
        """(text, n-gram) for every item's n-gram that a text contains, once each, (n, 2)."""
        if not len(self._rows):
            return np.empty((0, 2), np.int64)
        owners, _, codes, _ = grams_of(texts, lambda word: self._vocabulary.get(word, 0))
        hits, grams = self._codes.find(codes)
        pairs = np.stack(np.divmod(np.unique(owners[hits] * len(self._rows) + grams), len(self._rows)), axis=1)
        self._rows += np.bincount(pairs[:, 1], minlength=len(self._rows))
        return pairs

    def close(self) -> int:
        """End looking; returns how many items no n-gram says anything about."""
        grams, items = self._places.owners(), self._places.values[:, 0]
        new = np.append(True, (grams[1:] != grams[:-1]) | (items[1:] != items[:-1]))[: len(grams)]
        self.common = (self._rows > COMMON) | (np.bincount(grams[new], minlength=len(self._rows)) > COMMON)
        common = self.common[grams]
        self._own = self._covered(~common) & ~self._covered(common)
        counts = np.concatenate([[0], np.cumsum(self._own)])
        self._sizes: Ints = counts[self._starts[1:]] - counts[self._starts[:-1]]  # item -> its own words
        return int((self._sizes == 0).sum())

    def _covered(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The words of all items that the n-grams at the chosen places hold."""
        places = self._places.values[chosen].astype(np.int64)
        at, count = self._starts[places[:, 0]] + places[:, 1], int(self._starts[-1]) + 1
        return np.cumsum(np.bincount(at, minlength=count) - np.bincount(at + WORDS, minlength=count))[:-1] > 0

    def covers(self, grams: Iterable[int]) -> Iterator[tuple[int, float]]:
        """Each item whose own words these n-grams cover in part, and the share that they cover, in order."""
        covered: dict[int, set[int]] = defaultdict(set)
        for gram in grams:
            for item, place in self._places.of(gram).tolist():
                covered[item].update(range(place, place + WORDS))
        for item, places in sorted(covered.items()):
            if size := int(self._sizes[item]):
                yield item, int(self._own[self._starts[item] + np.array(sorted(places))].sum()) / size
