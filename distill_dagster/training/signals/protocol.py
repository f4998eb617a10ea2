"""What the trainer needs of a signal: how rows become a batch, and the loss of a batch.

The trainer owns everything else: the order of rows, devices, accumulation, and the divisor of the loss. The loss is a
sum over tokens, each times its weight, divided by the weights of the whole optimizer step, over all accumulated batches
and all processes. So every token counts the same, however the step is cut into batches.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Protocol, TypedDict

import torch
from datasets import Dataset

Example = Mapping[str, Any]  # row_id, sample, turn, input_ids, answer_start, length, and the signal's own columns


class TensorBatch(TypedDict):
    """Rows padded on the right. B rows, T positions. A signal may add tensors of its own."""

    input_ids: torch.Tensor  # (B, T) int64
    weights: torch.Tensor  # (B, T) float32, of each token in the loss
    weight: float  # their sum
    tokens: int  # without padding


class Signal(Protocol):
    """What the student learns from."""

    name: ClassVar[str]  # in a spec

    @property
    def columns(self) -> tuple[str, ...]:
        """What it adds to an example besides its tokens and its keys."""
        ...

    def join(self, rows: Dataset) -> tuple[Dataset, dict[str, int]]:
        """Add the signal's own columns to tokenized rows; leave out those that cannot train, counted by reason."""
        ...

    def attached(self, student: Any) -> AbstractContextManager[None]:
        """Inside the block the student, and the optimizer made there, have what the signal itself trains."""
        ...

    def collate(self, rows: Sequence[Example]) -> TensorBatch:
        """A batch of `rows`, whose keys can look up what is stored elsewhere."""
        ...

    def loss(self, model: Any, batch: Any, divisor: float) -> torch.Tensor:
        """The sum over all tokens of weight times loss, divided by `divisor`; see `forward.computing_loss`."""
        ...


class StudentAlone:
    """A signal that trains nothing beside the student."""

    __slots__ = ()

    def attached(self, student: Any) -> AbstractContextManager[None]:
        """See `Signal.attached`."""
        return nullcontext()
