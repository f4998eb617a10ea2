"""Lists of numbers, and texts, of many held-out rows as arrays: as objects they would take many times the memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distill_dagster.quality.columns import pc
from distill_dagster.quality.spill import BLOCK_BYTES, parts_of

Ints = NDArray[np.int64]


class Lists:
    """Many lists of numbers as two arrays: the list of i is `values[starts[i] : starts[i + 1]]`."""

    def __init__(self, owners: Ints, values: Any, count: int) -> None:
        self.values = values[np.argsort(owners, kind="stable")]
        self.starts: Ints = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=count))])

    def owners(self) -> Ints:
        """Whose list each of the values is in."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def of(self, one: int) -> Any:
        """The list of `one`."""
        return self.values[self.starts[one] : self.starts[one + 1]]


def text_blocks(texts: pa.Array) -> Iterator[tuple[int, list[str]]]:
    """The texts a block at a time, each with the number of its first."""
    for part in parts_of(pc.binary_length(texts).to_numpy(zero_copy_only=False), BLOCK_BYTES):
        yield part.start, texts[part.start : part.stop].to_pylist()
