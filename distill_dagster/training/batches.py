"""Rows to batches to steps: rows of like length together, in an order that depends on seed and epoch alone.

Padding is wasted work, so rows are shuffled, sorted by length within blocks of fifty batches, cut, and the batches
shuffled again. The order of epoch e is made from (seed, e), so a resumed run sees the order of an unbroken one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from distill_dagster.config import TrainingConfig

BLOCK = 50
LOGGED_POINTS = 100


class LengthBatches:
    """A batch sampler: lists of row positions, `batch_size` each except the last."""

    drop_last = False  # Accelerate asks, where several processes share the batches

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


@dataclass(frozen=True, slots=True)
class StepPlan:
    """How many optimizer steps a training has, and how often it is logged and validated."""

    steps: int
    steps_per_epoch: int
    evaluate_every: int
    log_every: int

    @staticmethod
    def of(config: TrainingConfig, rows: int) -> "StepPlan":
        """The plan of `config` for `rows` training rows."""
        per_epoch = math.ceil(math.ceil(rows / config.batch_size) / config.gradient_accumulation)
        steps = max(1, math.ceil(config.epochs * per_epoch))
        return StepPlan(steps, per_epoch, max(1, math.ceil(steps / config.evaluations)), max(1, steps // LOGGED_POINTS))
