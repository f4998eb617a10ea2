"""A block of rows as their prompts are compared: keys as numbers, texts, and bands."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from distill_dagster.quality.duplicates.shingles import Hashes

Keys = NDArray[np.uint64]  # (rows, 2), the first 128 bits of a hash


@dataclass(frozen=True, slots=True)
class Prompts:
    """Some rows, in the order of their numbers."""

    numbers: NDArray[np.int64]
    tasks: NDArray[np.str_]
    keys: Keys  # contamination keys
    texts: list[str]  # bare user texts, or "" where nothing compares them
    bands: Hashes  # (rows, B)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Prompts":
        """Some of them."""
        texts = [self.texts[i] for i in np.flatnonzero(chosen).tolist()]
        return Prompts(self.numbers[chosen], self.tasks[chosen], self.keys[chosen], texts, self.bands[chosen])


def as_numbers(keys: Iterable[tuple[str, ...]]) -> Keys:
    """Keys as two numbers each. Nobody can make two prompts of one hash, so the hash is that of cryptography."""
    joined = b"".join(sha256("\0".join(key).encode("utf-8", "surrogatepass")).digest()[:16] for key in keys)
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)
