"""What the trainer needs of a signal: which columns it reads, how rows become a batch, and the loss of a batch.

The trainer owns everything else: the order of rows, devices, accumulation, and the division of the loss. A signal
returns a sum over tokens, each times its weight; the trainer divides by the weights of the whole optimizer step,
over all accumulated batches and all processes. So every token counts the same, however the step is cut into batches.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypedDict

import torch
from transformers import PreTrainedModel

Example = Mapping[str, Any]  # row_id, sample, turn, input_ids, answer_start, length, and the signal's own columns


class TensorBatch(TypedDict):
    """Rows padded on the right. B rows, T positions. A signal may add tensors of its own."""

    input_ids: torch.Tensor  # (B, T) int64
    weights: torch.Tensor  # (B, T) float32, of each token in the loss
    weight: float  # their sum
    first: int  # the first position whose logits are needed


class Signal(Protocol):
    """What the student learns from."""

    name: ClassVar[str]  # in a spec
    columns: ClassVar[tuple[str, ...]]  # what it needs of an example besides its tokens and its keys

    def collate(self, rows: Sequence[Example]) -> TensorBatch:
        """A batch of `rows`, whose keys can look up what is stored elsewhere."""
        ...

    def loss(self, model: PreTrainedModel, batch: TensorBatch) -> torch.Tensor:
        """The sum over all tokens of weight times loss, a scalar."""
        ...
