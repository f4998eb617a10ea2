"""Texts as sets of character 5-grams (shingles), computed for many texts at once, and how alike two such sets are.

    "card pin"                          "card ", "ard p", "rd pi", "d pin"
    hash_shingles(["card pin", "hi"])   hashes (5,), offsets [0, 4, 5]: text i has hashes[offsets[i] : offsets[i + 1]]
    jaccard(one, other)                 shingles that both have / shingles that either has

Only texts that share a *band* are compared. A band is a hash of `ROWS` MinHash values (Broder 1997), and a text has
`BANDS` bands. A pair with Jaccard index J shares one with probability 1 - (1 - J^ROWS)^BANDS:

    J          0.5      0.7      0.8      0.9      0.95
    chance     0.046    0.51     0.89     0.9988   1.0000

Prompts made from one template share most of their shingles, so each would resemble all others. `template_of` finds the
shingles in more than half of a sample of the texts, and those are ignored.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE = 5  # characters of a shingle
BANDS, ROWS = 12, 8
SEED = 1
TEMPLATE_SHARE, TEMPLATE_TEXTS = 0.5, 20  # fewer texts have no template

NO_TEMPLATE: frozenset[str] = frozenset()

Hashes = NDArray[np.uint64]
NO_BAND = np.uint64(0)  # of a text without shingles

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # of SplitMix64


def shingles_of(text: str, template: frozenset[str] = NO_TEMPLATE) -> frozenset[str]:
    """A text's shingles without the template's; a text shorter than a shingle is its own shingle."""
    return frozenset(text[i : i + SIZE] for i in range(max(1, len(text) - SIZE + 1)) if text) - template


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """|one & other| / |one | other|; 1 for two empty sets."""
    common = len(one & other)
    union = len(one) + len(other) - common
    return common / union if union else 1.0


def lengths_allow(one: str, other: str, threshold: float) -> bool:
    """Whether texts of these lengths can reach that index; a cheap test that rules out many pairs.

    At least a share `threshold` of the longer text's shingles must be among the other's. Repetition makes a text longer
    but not its set larger, so a third of the length is allowed for it.
    """
    shorter, longer = sorted((len(one), len(other)))
    return shorter + SIZE >= threshold * 2 / 3 * longer


def hash_shingles(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """Hashes of all shingles of n texts, repeats included, (shingles,) uint64, and where each text begins, (n + 1,)."""
    padded = [text if len(text) >= SIZE or not text else text.ljust(SIZE, "\0") for text in texts]
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    counts = np.maximum(lengths - SIZE + 1, 0)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
    starts = np.cumsum(lengths) - lengths
    at = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    hashes = np.zeros(len(at), np.uint64)
    for place in range(SIZE):
        hashes = (hashes ^ points[at + place].astype(np.uint64)) * _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return hashes, offsets


def template_of(texts: Sequence[str]) -> frozenset[str]:
    """The shingles in more than half of the texts."""
    if len(texts) < TEMPLATE_TEXTS:
        return NO_TEMPLATE
    counts = Counter(shingle for text in texts for shingle in shingles_of(text))
    return frozenset(shingle for shingle, count in counts.items() if count > TEMPLATE_SHARE * len(texts))


def bands_of(texts: Sequence[str], template: frozenset[str]) -> Hashes:
    """The bands of each text, (texts, BANDS); a text with only template shingles has NO_BAND throughout."""
    import rensa

    minhash: Any = rensa.RMinHash  # pyright: ignore[reportAttributeAccessIssue]  # a compiled module
    hashes, offsets = _own_hashes(texts, template)
    digests = minhash.digest_matrix_from_flat_token_hashes(hashes, offsets.astype(np.uint64), BANDS * ROWS, SEED)
    minima = np.array(digests.to_rows(), np.uint64).reshape(-1, BANDS, ROWS)
    bands = np.zeros(minima.shape[:2], np.uint64)  # (texts, BANDS)
    for row in range(ROWS):
        bands = (bands ^ minima[:, :, row]) * _MULTIPLIER
        bands ^= bands >> np.uint64(32)
    bands = (bands + np.arange(BANDS, dtype=np.uint64)) * _MIX | np.uint64(1)
    bands[offsets[1:] == offsets[:-1]] = NO_BAND
    return bands


def _own_hashes(texts: Sequence[str], template: frozenset[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """As `hash_shingles`, without the template's."""
    hashes, offsets = hash_shingles(texts)
    if template:
        own = ~np.isin(hashes, hash_shingles(sorted(template))[0])
        hashes, offsets = hashes[own], np.concatenate([[0], np.cumsum(own)])[offsets]
    return hashes, offsets


def signatures_of(texts: Sequence[str], template: frozenset[str]) -> Hashes:
    """256 bits for each text; each of its shingles sets one; (texts, 4).

    A bit that only one of two texts has stands for a shingle that only that text has. So `differ` counts too few
    shingles and never too many, and rules out most pairs without a look at their texts.
    """
    hashes, offsets = _own_hashes(texts, template)
    bits = np.zeros((len(texts), 256), bool)
    bits[np.repeat(np.arange(len(texts)), np.diff(offsets)), (hashes >> np.uint64(56)).astype(np.intp)] = True
    return np.packbits(bits, axis=1).view(np.uint64)


def differ(ones: Hashes, others: Hashes) -> NDArray[np.int64]:
    """For each pair of signatures, (n, 4), the bits that only the first has; (n,)."""
    return np.bitwise_count(ones & ~others).sum(axis=1, dtype=np.int64)


class Sieve:
    """Sorted hashes in which many others are looked up, most of them in vain.

    >>> Sieve(np.array([3 << 60, 5 << 60], np.uint64)).find(np.array([4 << 60, 5 << 60], np.uint64))
    (array([1]), array([1]))

    A hash is searched only if some stored hash begins with the same bits. There are enough bits to rule out most,
    and at most 64 MiB of them.
    """

    def __init__(self, values: Hashes) -> None:
        self.values = values
        bits = min(26, max(10, (16 * len(values)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._begins = np.zeros(2**bits, bool)
        self._begins[values >> self._shift] = True

    def find(self, hashes: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions in `hashes` of those that are stored, and their positions in `values`."""
        at = np.flatnonzero(self._begins[hashes >> self._shift])
        which = np.minimum(np.searchsorted(self.values, hashes[at]), max(0, len(self.values) - 1))
        there = self.values[which] == hashes[at] if len(self.values) else np.zeros(0, bool)
        return at[there], which[there]
