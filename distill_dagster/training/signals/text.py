"""The text signal: cross-entropy on the tokens of the answer and, if configured, a little of it on those of the prompt.

    L = sum_t w_t * -log p(x_t | x_<t) / sum_t w_t        w = 1 on the answer, prompt_loss_weight on the prompt

    input_ids  [[3, 812, 1, 4, 640, 1],        weights  [[0, w, w, w, 1, 1],      (B, T)
                [3, 77,  1, 4, 9,   0]]                  [0, w, w, w, 1, 0]]      w: weight of the prompt

Padding is on the right: under causal attention no real token sees it, so no attention mask is needed. With label
smoothing e the target is (1 - e) on the true token and e spread evenly over the vocabulary (Szegedy et al. 2016,
section 7). B rows, T positions, K of them with logits, V tokens.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from distill_dagster.config import TrainingConfig
from distill_dagster.training.signals.protocol import Example, TensorBatch


@dataclass(frozen=True, slots=True)
class TextSignal:
    """Learns the text of the answers; with the defaults it measures them, as for a validation loss."""

    pad: int
    prompt_weight: float = 0.0
    smoothing: float = 0.0

    name: ClassVar[str] = "text"
    columns: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, config: TrainingConfig, pad: int) -> "TextSignal":
        """The signal that a training's config asks for."""
        return cls(pad, config.prompt_loss_weight, config.label_smoothing)

    def collate(self, rows: Sequence[Example]) -> TensorBatch:
        """Token ids and weights. Without weight on prompts, logits start before the first answer token."""
        width = max(len(row["input_ids"]) for row in rows)
        ids = np.full((len(rows), width), self.pad, dtype=np.int64)  # (B, T)
        weights = np.zeros((len(rows), width), dtype=np.float32)  # (B, T)
        for i, row in enumerate(rows):
            length, start = len(row["input_ids"]), row["answer_start"]
            ids[i, :length] = row["input_ids"]
            weights[i, 1:start] = self.prompt_weight
            weights[i, start:length] = 1.0
        first = 0 if self.prompt_weight > 0 else min(row["answer_start"] for row in rows) - 1
        tensor = torch.from_numpy(weights)
        return TensorBatch(input_ids=torch.from_numpy(ids), weights=tensor, weight=float(tensor.sum()), first=first)

    def loss(self, model: PreTrainedModel, batch: TensorBatch) -> torch.Tensor:
        """The sum of weight times cross-entropy. Logits are computed from `first` on, where the model can do so."""
        ids, weights, first = batch["input_ids"], batch["weights"], batch["first"]  # (B, T), (B, T), int
        positions = torch.arange(first, ids.shape[1] - 1, device=ids.device)  # (K,)
        if takes_positions(model):
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=positions).logits  # (B, K, V)
        else:
            logits = model(input_ids=ids, use_cache=False).logits[:, positions]  # (B, K, V)
        targets, weights = ids[:, first + 1 :], weights[:, first + 1 :]  # (B, K), (B, K)
        counted = weights > 0
        losses = F.cross_entropy(
            logits[counted].float(), targets[counted], reduction="none", label_smoothing=self.smoothing
        )
        return (losses * weights[counted]).sum()


def takes_positions(model: PreTrainedModel) -> bool:
    """Whether the model's `forward` can leave out the logits of some positions."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters
