"""Attention relations: which tokens are alike, by the queries, keys or values of a layer (arXiv 2012.15828).

The queries of all heads are joined and cut into A relation heads of width d, which need not be the model's own heads.
So teacher and student may have different numbers of heads, and different widths:

    R = softmax(X X^T / sqrt(d))      (A, T, T), causal: a row's columns are the positions up to its own
    loss of a row                     KL(R teacher ‖ R student), the mean over relation heads

X are the outputs of the query, key or value projections (models/layers.py), before rotary embeddings: relations of the
paper's models have no positions either. B rows, T positions, W width of X.
"""

import math

import torch
from torch.utils.checkpoint import checkpoint


def relation_loss(student: torch.Tensor, teacher: torch.Tensor, heads: int, weights: torch.Tensor) -> torch.Tensor:
    """The sum over positions of weight times KL, from (B, T, Ws), (B, T, Wt) and `weights` (B, T).

    The rows of the batch are computed one after another, and again in the backward pass, so that only one row's
    relations are in memory.
    """
    total = student.new_zeros((), dtype=torch.promote_types(student.dtype, torch.float32))
    for own, given, weight in zip(student, teacher, weights, strict=True):
        places = weight.nonzero()[:, 0]  # (n,)
        if not len(places):
            continue
        upto = int(places[-1]) + 1
        part = checkpoint(_row_loss, own[:upto], given[:upto], heads, places, weight[places], use_reentrant=False)
        total = total + part
    return total


def _row_loss(
    student: torch.Tensor, teacher: torch.Tensor, heads: int, places: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """The loss of one row of the batch at n of its positions."""
    hidden = torch.arange(len(student), device=places.device) > places[:, None]  # (n, T)
    q, p = (_relations(part, heads, places, hidden) for part in (student, teacher))
    divergence = (p.exp() * torch.where(hidden, 0.0, p - q)).sum(dim=-1).mean(dim=0)  # (n,)
    return (weights * divergence).sum()


def _relations(states: torch.Tensor, heads: int, places: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """log R (A, n, T) of states (T, W) at n positions."""
    wide = states.to(torch.promote_types(states.dtype, torch.float32))
    split = wide.unflatten(-1, (heads, -1)).transpose(0, 1)  # (A, T, d)
    scores = split[:, places] @ split.transpose(1, 2) / math.sqrt(split.shape[-1])
    return scores.masked_fill(hidden, float("-inf")).log_softmax(dim=-1)
