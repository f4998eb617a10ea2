"""Rows to batches to steps: rows of like length together, in an order that depends on seed and epoch alone.

Padding is wasted work, so rows are shuffled, sorted by length within blocks of fifty batches, cut, and the batches
shuffled again. The order of epoch e is made from (seed, e), so a resumed run sees the order of an unbroken one.

If the model reads rows of more than `switch` tokens with other angles (`models/row_limits.py`), they have their own
batches.

Several ranks share each batch, row by row, so that a step has the same rows on any number of devices:

    batch [7, 2, 9, 4, 1]     rank 0 of 2 [7, 9, 1]     rank 1 of 2 [2, 4]
    batch [5]                 rank 0 of 2 [5]           rank 1 of 2 [~5], a row that stands for none
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill_dagster.config import TrainingConfig

BLOCK = 50
LOGGED_POINTS = 100
WEIGHTLESS = "weightless"  # the key of a row that only keeps its rank in step


class LengthBatches:
    """A batch sampler: lists of row positions, `batch_size` each except the last one on each side of the switch.

    `share` is a rank's number and how many ranks there are. Every rank has as many batches, since all take part in
    each step; one that gets no row of a batch computes a row without weight (`RankRows`).
    """

    drop_last = False  # Accelerate asks

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        switch: int | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = np.asarray(lengths), batch_size, seed, 0
        self.switch, self.share = switch, share
        longer = self.lengths > (switch if switch is not None else np.inf)
        self.sides = [side for side in (np.flatnonzero(~longer), np.flatnonzero(longer)) if len(side)]

    def __len__(self) -> int:
        return sum(-(-len(side) // self.batch_size) for side in self.sides)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        batches = [batch for side in self.sides for batch in self._cut(side[random.permutation(len(side))])]
        for i in random.permutation(len(batches)):
            yield self._own(batches[i].tolist())

    def _own(self, batch: list[int]) -> list[int]:
        """This rank's rows of a batch."""
        rank, ranks = self.share
        return batch[rank::ranks] or [~batch[0]]

    def _cut(self, order: np.ndarray) -> Iterator[np.ndarray]:
        """Batches of like length, from a shuffled order."""
        block = self.batch_size * BLOCK
        for start in range(0, len(order), block):
            part = order[start : start + block]
            part = part[np.argsort(-self.lengths[part], kind="stable")]
            yield from (part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size))


class RankRows:
    """Rows as a rank reads them: those of a position `~i` are of row i, marked as without weight."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, positions: list[int]) -> list[dict[str, Any]]:
        """The rows of one batch."""
        if positions[0] >= 0:
            return self.rows.__getitems__(positions)
        return [{**row, WEIGHTLESS: True} for row in self.rows.__getitems__([~i for i in positions])]


@dataclass(frozen=True, slots=True)
class StepPlan:
    """How many optimizer steps a training has, and how often it is logged and validated."""

    steps: int
    steps_per_epoch: int
    evaluate_every: int
    log_every: int

    @staticmethod
    def of(config: TrainingConfig, batches: int) -> "StepPlan":
        """The plan of `config` for so many batches in an epoch."""
        per_epoch = math.ceil(batches / config.gradient_accumulation)
        steps = max(1, math.ceil(config.epochs * per_epoch))
        return StepPlan(steps, per_epoch, max(1, math.ceil(steps / config.evaluations)), max(1, steps // LOGGED_POINTS))
