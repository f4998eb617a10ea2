"""How far the student's distribution is from the teacher's. Both are given over the same outcomes.

An outcome is one of the k stored tokens, or the tail: all other tokens together. For each of N positions,

    teacher  log p    (N, k+1)    stored log-probabilities, and the logarithm of the mass outside of them
    student  log q    (N, k+1)    the same of the student

Merging the tail into one outcome can only make a divergence smaller (the data-processing inequality), and none of them
is renormalised, truncated or clamped: the k+1 outcomes have all of the mass. p = 0 contributes nothing to a sum.
"""

import math
from collections.abc import Callable

import torch

from distill_dagster.config.signals import DivergenceName

Divergence = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (N, K) log p, (N, K) log q -> (N,)


def forward_kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """KL(p ‖ q) = sum p log(p / q): the student covers all that the teacher says."""
    return _mass_times(p, p - q)


def reverse_kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """KL(q ‖ p): the student says nothing that the teacher does not."""
    return _mass_times(q, q - p)


def skew_kl(p: torch.Tensor, q: torch.Tensor, share: float) -> torch.Tensor:
    """KL(p ‖ share p + (1 - share) q), which stays finite where q is 0 (DistiLLM, arXiv 2402.03898, equation 3)."""
    return _mass_times(p, p - _mixture(p, q, share))


def generalised_jsd(p: torch.Tensor, q: torch.Tensor, beta: float) -> torch.Tensor:
    """beta KL(p ‖ m) + (1 - beta) KL(q ‖ m) with m = beta p + (1 - beta) q, 0 < beta < 1 (arXiv 2306.13649, section 2).

    Divided by beta it tends to the forward KL as beta goes to 0, and divided by 1 - beta to the reverse KL as it goes
    to 1.
    """
    mixture = _mixture(p, q, beta)
    return beta * _mass_times(p, p - mixture) + (1 - beta) * _mass_times(q, q - mixture)


def divergence_of(name: DivergenceName, *, skew: float, beta: float) -> Divergence:
    """The divergence of that name."""
    made: dict[DivergenceName, Divergence] = {
        "forward_kl": forward_kl,
        "reverse_kl": reverse_kl,
        "skew_kl": lambda p, q: skew_kl(p, q, skew),
        "jsd": lambda p, q: generalised_jsd(p, q, beta),
    }
    return made[name]


def _mass_times(logs: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The sum over outcomes of exp(logs) * values, without those of mass 0, whose value may be infinite."""
    mass = logs.exp()
    return (mass * torch.where(mass > 0, values, 0.0)).sum(dim=-1)


def _mixture(p: torch.Tensor, q: torch.Tensor, share: float) -> torch.Tensor:
    """log(share exp(p) + (1 - share) exp(q))"""
    return torch.logaddexp(p + math.log(share), q + math.log1p(-share))
