"""Rows of token ids as one tensor."""

from collections.abc import Sequence
from typing import Any


def right_padded(rows: Sequence[Sequence[int]], pad: int, device: str) -> tuple[Any, Any]:
    """Token ids (B, T), padded on the right, and a mask (B, T) that is 1 where a token is real."""
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    return ids, mask
