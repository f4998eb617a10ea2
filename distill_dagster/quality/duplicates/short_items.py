"""Held-out rows (items) that a text nearly repeats: candidates share a band of their shingles (shingles.py)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from distill_dagster.quality.duplicates.lists import Ints, Lists, text_blocks
from distill_dagster.quality.duplicates.shingles import (
    NO_BAND,
    Hashes,
    Sieve,
    bands_of,
    differ,
    jaccard,
    lengths_allow,
    shingles_of,
    signatures_of,
)
from distill_dagster.quality.spill import parts_of

SHORT = 200  # characters
ALIKE = 0.9
MOST_PAIRS = 1 << 20  # that are looked at together


class ShortItems:
    """The items of at most `SHORT` characters, found by the bands of their shingles."""

    def __init__(self, texts: pa.Array, template: frozenset[str]) -> None:
        self.texts, self._template = texts, template
        parts = [self._part(*block) for block in text_blocks(texts)]
        bands, items, self._signatures, self._sizes = (np.concatenate(column) for column in zip(*parts, strict=True))
        known, numbers = np.unique(bands, return_inverse=True)
        self._bands, self._items = Sieve(known), Lists(numbers, items, len(known))

    def _part(self, start: int, texts: list[str]) -> tuple[Hashes, Any, Hashes, Any]:
        short = [text if len(text) <= SHORT else "" for text in texts]
        bands = bands_of(short, self._template)
        there = bands != NO_BAND
        items = np.broadcast_to(np.arange(start, start + len(texts))[:, None], bands.shape)[there].astype(np.int32)
        sizes = np.array([len(shingles_of(text, self._template)) for text in short], np.int32)
        return bands[there], items, signatures_of(short, self._template), sizes

    def near(self, texts: list[str], bands: Hashes) -> Iterator[tuple[int, int, float]]:
        """(text, item, Jaccard index) for every item that a text nearly repeats."""
        at, which = self._bands.find(bands.ravel())
        texts_of, counts = at // bands.shape[1], np.diff(self._items.starts)[which]
        for part in parts_of(counts, MOST_PAIRS):
            pairs = self._pairs(texts_of[part], which[part], counts[part])
            for text, item in self._possible(texts, pairs).tolist():
                other = self.texts[item].as_py()
                if lengths_allow(texts[text], other, ALIKE):
                    alike = jaccard(shingles_of(texts[text], self._template), shingles_of(other, self._template))
                    if alike >= ALIKE:
                        yield text, item, alike

    def _pairs(self, texts: Ints, which: Ints, counts: Ints) -> Ints:
        """(text, item) for each text and each item of its bands, once each, (n, 2)."""
        begins = np.repeat(self._items.starts[which] - (np.cumsum(counts) - counts), counts)
        items = self._items.values[begins + np.arange(len(begins))]
        size = len(self.texts)
        return np.stack(np.divmod(np.unique(np.repeat(texts, counts) * size + items), size), axis=1)

    def _possible(self, texts: list[str], pairs: Ints) -> Ints:
        """The pairs whose signatures allow an index of `ALIKE`: at most a tenth of the shingles may differ."""
        own, places = np.unique(pairs[:, 0], return_inverse=True)
        ones = signatures_of([texts[i] for i in own], self._template)[places] if len(own) else self._signatures[:0]
        others, sizes = self._signatures[pairs[:, 1]], self._sizes[pairs[:, 1]]
        few = (differ(others, ones) <= sizes * (1 - ALIKE) + 1e-6) & (
            differ(ones, others) <= sizes * (1 / ALIKE - 1) + 1e-6
        )
        return pairs[few]
