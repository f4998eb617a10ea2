"""A key-value cache that drops rows and takes in new ones.

All rows end in the same column, so that each step writes one column; a shorter row has more padding on its left. When
rows have ended, `pack` puts the others together with new ones and drops the columns that no row needs:

    before        after c has ended and d (3 tokens) has come in
    a a a a       a a a a
    . c c c       . b b b
    . b b b       . d d d

Keys and values are written in place, whereas transformers' dynamic cache copies all of them at each step.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any


@cache
def layer_class() -> Any:
    """The class of one layer's keys and values, each (B, H, columns, D)."""
    from transformers.cache_utils import DynamicLayer

    class ColumnLayer(DynamicLayer):
        keys: Any
        values: Any
        used = 0  # filled columns
        column: Any = None  # (1,), the next column, while steps are replayed (see replay.py)

        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            """Write the next columns; returns all filled ones, or all columns while steps are replayed."""
            if self.column is not None:
                self.keys.index_copy_(2, self.column, key_states)
                self.values.index_copy_(2, self.column, value_states)
                return self.keys, self.values
            first, self.used = self.used, self.used + key_states.shape[-2]
            self.keys[:, :, first : self.used] = key_states
            self.values[:, :, first : self.used] = value_states
            return self.keys[:, :, : self.used], self.values[:, :, : self.used]

        def get_seq_length(self) -> int:
            return self.used

    return ColumnLayer


def pack(old: Any | None, kept: Sequence[int], new: Any | None, width: int, capacity: int) -> Any:
    """A cache with the rows `kept` of `old`, then those of `new`, filled up to column `width` of `capacity`.

    All caches are `transformers.Cache`.
    """
    from transformers.cache_utils import Cache

    assert old is not None or new is not None, "pack needs an old cache or a new one"
    layers: list[Any] = []
    for i in range(len(new.layers if new is not None else old.layers)):  # pyright: ignore[reportOptionalMemberAccess]
        layer = layer_class()()
        mine, theirs = old.layers[i] if old and kept else None, new.layers[i] if new else None
        layer.keys = _joined(mine and (mine.keys, mine.used), kept, theirs and theirs.keys, width, capacity)
        layer.values = _joined(mine and (mine.values, mine.used), kept, theirs and theirs.values, width, capacity)
        layer.used, layer.is_initialized = width, True
        layer.dtype, layer.device = layer.keys.dtype, layer.keys.device
        layers.append(layer)
    return Cache(layers=layers)


def _joined(old: Any | None, kept: Sequence[int], new: Any | None, width: int, capacity: int) -> Any:
    """One tensor (B, H, capacity, D) with the kept rows of `old` above those of `new`, all ending in column `width`."""
    sample = new if new is not None else old[0]  # pyright: ignore[reportOptionalSubscript]
    rows = len(kept) + (len(new) if new is not None else 0)
    joined = sample.new_zeros(rows, sample.shape[1], capacity, sample.shape[3])  # a mask hides no NaN
    if old is not None:
        shared = min(width, old[1])
        joined[: len(kept), :, width - shared : width] = old[0][kept, :, old[1] - shared : old[1]]
    if new is not None:
        joined[len(kept) :, :, width - new.shape[2] : width] = new
    return joined
