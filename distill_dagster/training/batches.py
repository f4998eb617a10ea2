"""Rows to batches: rows of like length together, in an order that depends on seed and epoch alone.

Padding is wasted work, so rows are shuffled, sorted by length within blocks of fifty batches, cut, and the batches
shuffled again. The order of epoch e is made from (seed, e), so a resumed run sees what the first one would have.

    input_ids  [[3, 812, 1, 4, 640, 1],        weights  [[0, w, w, w, 1, 1],      (B, T)
                [3, 77,  1, 4, 9,   0]]                  [0, w, w, w, 1, 0]]      w: weight of the prompt

Padding stands on the right: under causal attention no real token sees it, so no attention mask is needed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

BLOCK = 50


class LengthBatches:
    """A batch sampler: lists of row positions, `batch_size` each but for the last."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = np.asarray(lengths), batch_size, seed, 0

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        order, block = random.permutation(len(self.lengths)), self.batch_size * BLOCK
        batches: list[np.ndarray] = []
        for start in range(0, len(order), block):
            part = order[start : start + block]
            part = part[np.argsort(-self.lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        for i in random.permutation(len(batches)):
            yield batches[i].tolist()


def collate(rows: Sequence[dict[str, Any]], pad: int, prompt_weight: float) -> dict[str, Any]:
    """Token ids and loss weights of a batch, padded on the right.

    `first` is the position from which logits are needed: that before the first answer token, or 0 where prompts count.
    """
    import torch

    width = max(len(row["input_ids"]) for row in rows)
    ids = np.full((len(rows), width), pad, dtype=np.int64)  # (B, T)
    weights = np.zeros((len(rows), width), dtype=np.float32)  # (B, T)
    for i, row in enumerate(rows):
        length, start = len(row["input_ids"]), row["answer_start"]
        ids[i, :length] = row["input_ids"]
        weights[i, 1:start] = prompt_weight
        weights[i, start:length] = 1.0
    first = 0 if prompt_weight > 0 else min(row["answer_start"] for row in rows) - 1
    return {"input_ids": torch.from_numpy(ids), "weights": torch.from_numpy(weights), "first": first}
