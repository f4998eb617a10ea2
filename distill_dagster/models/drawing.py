"""Draws tokens by the masses that a model gives them, without a cumulative sum over the whole vocabulary.

A draw is the first token whose cumulative mass exceeds a uniform number times the whole. It is looked up in two steps,
among blocks of tokens and inside one block: cumulative sums over a whole vocabulary take longer than the rest of a
step, and in float32 they lose the small masses.
"""

from typing import Any

BLOCK = 256  # tokens that are summed together before a draw


def drawn_tokens(masses: Any, uniforms: Any) -> Any:
    """Token ids (S, M) for numbers in [0, 1) (S, M); `masses` (S, V) need not add up to 1.

    Sums have the precision of `uniforms`.
    """
    import torch

    blocks = torch.nn.functional.pad(masses, (0, -masses.shape[1] % BLOCK)).unflatten(1, (-1, BLOCK))  # (S, C, BLOCK)
    upto = blocks.sum(dim=-1, dtype=uniforms.dtype).cumsum(dim=-1)  # (S, C)
    at = uniforms * upto[:, -1:]
    block = torch.searchsorted(upto, at, right=True).clamp(max=upto.shape[1] - 1)  # (S, M)
    before = torch.where(block > 0, upto.gather(1, (block - 1).clamp(min=0)), 0.0)
    chosen = blocks.gather(1, block[..., None].expand(-1, -1, BLOCK))
    inside = chosen.to(uniforms.dtype).cumsum(dim=-1)  # (S, M, BLOCK)
    place = (inside <= (at - before)[..., None]).sum(dim=-1)  # BLOCK where rounding left nothing above it
    last = inside.argmax(dim=-1)  # the first place that has all of the block's mass
    return (block * BLOCK + torch.minimum(place, last)).clamp(max=masses.shape[1] - 1)  # without a mass, any token
