"""The text signal: cross-entropy on the tokens of the answer and, if configured, a little of it on those of the prompt.

    L = sum_t w_t * -log p(x_t | x_<t) / sum_t w_t        w = 1 on the answer, prompt_loss_weight on the prompt

    input_ids  [[3, 812, 1, 4, 640, 1],        weights  [[0, w, w, w, 1, 1],      (B, T)
                [3, 77,  1, 4, 9,   0]]                  [0, w, w, w, 1, 0]]      w: weight of the prompt

With label smoothing e the target is (1 - e) on the true token and e spread evenly over the vocabulary (Szegedy et al.
2016, section 7). B rows, T positions, N tokens with a weight, V tokens of the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset

from distill_dagster.config import TrainingConfig
from distill_dagster.training.signals.kernel import LogProbs
from distill_dagster.training.signals.protocol import Example, StudentAlone, TensorBatch


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """A term of the kernel: weight times -log q of the true token, smoothed if asked."""

    ids: torch.Tensor  # (N, 1)
    weights: torch.Tensor  # (N,)
    smoothing: float = 0.0
    temperature: float = 1.0
    drawn: torch.Tensor | None = None
    vocab_size: int | None = None

    @property
    def needs_mean(self) -> bool:
        """Label smoothing reads the whole vocabulary."""
        return self.smoothing > 0

    def loss(self, chunk: slice, seen: LogProbs) -> torch.Tensor:
        """See `kernel.Term`."""
        loss = -seen.kept[:, 0]
        if seen.mean is not None:
            loss = (1 - self.smoothing) * loss - self.smoothing * seen.mean
        return self.weights[chunk] * loss


@dataclass(frozen=True, slots=True)
class TextSignal(StudentAlone):
    """Learns the text of the answers; with the defaults it measures them, as for a validation loss."""

    pad: int
    prompt_weight: float = 0.0
    smoothing: float = 0.0

    name: ClassVar[str] = "text"

    @classmethod
    def of(cls, config: TrainingConfig, pad: int) -> "TextSignal":
        """The signal that a training's config asks for."""
        return cls(pad, config.prompt_loss_weight, config.label_smoothing)

    @property
    def columns(self) -> tuple[str, ...]:
        """It adds none."""
        return ()

    def join(self, rows: Dataset) -> tuple[Dataset, dict[str, int]]:
        """Every row can train."""
        return rows, {}

    def collate(self, rows: Sequence[Example]) -> TensorBatch:
        """Token ids and weights."""
        width = max(len(row["input_ids"]) for row in rows)
        ids = np.full((len(rows), width), self.pad, dtype=np.int64)  # (B, T)
        weights = np.zeros((len(rows), width), dtype=np.float32)  # (B, T)
        for i, row in enumerate(rows):
            length, start = len(row["input_ids"]), row["answer_start"]
            ids[i, :length] = row["input_ids"]
            weights[i, 1:start] = self.prompt_weight
            weights[i, start:length] = 1.0
        tensor = torch.from_numpy(weights)
        tokens = sum(len(row["input_ids"]) for row in rows)
        return TensorBatch(input_ids=torch.from_numpy(ids), weights=tensor, weight=float(tensor.sum()), tokens=tokens)

    def loss(self, model: Any, batch: TensorBatch, divisor: float) -> torch.Tensor:
        """The sum of weight times cross-entropy, divided by `divisor`."""
        ids, weights = batch["input_ids"], batch["weights"]
        counted = weights > 0
        term = CrossEntropy(ids[counted][:, None], weights[counted] / divisor, self.smoothing)
        return model(input_ids=ids, counted=counted, terms=[term])
