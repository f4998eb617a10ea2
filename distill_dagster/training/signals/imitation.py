"""How far a student's hidden states are from its teacher's, behind a projection to the teacher's width.

    cosine    1 - W s · h / (|W s| |h|)              the size of neither matters
    mse       |W s - h|^2 / width of the teacher

The arithmetic is at least float32, also where the models run in bfloat16. N positions, widths S and H.
"""

from collections.abc import Callable

import torch

from distill_dagster.config.hidden import DistanceName

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (N, H) projected, (N, H) -> (N,)


def cosine(projected: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """1 - cosine, as DistilBERT (arXiv 1910.01108) has it."""
    return 1 - torch.nn.functional.cosine_similarity(projected, states, dim=-1)


def mse(projected: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """The mean squared difference, as TinyBERT (arXiv 1909.10351) has it."""
    return (projected - states).square().mean(dim=-1)


DISTANCES: dict[DistanceName, Distance] = {"cosine": cosine, "mse": mse}


def state_loss(
    student: torch.Tensor, teacher: torch.Tensor, projection: torch.nn.Linear, weights: torch.Tensor, name: DistanceName
) -> torch.Tensor:
    """The sum of weight times distance, from (N, S), (N, H) and (N,)."""
    dtype = torch.promote_types(student.dtype, torch.float32)
    projected = torch.nn.functional.linear(student.to(dtype), projection.weight.to(dtype))
    return (weights * DISTANCES[name](projected, teacher.to(dtype))).sum()
