"""Loss and gradient over a large vocabulary, a chunk of positions at a time and in place.

The logits of N positions are an (N, V) tensor: 20 GB in float32 for 32,768 tokens of a 151,936-token vocabulary, and
autograd would keep two more. Here the head runs on a chunk of S positions, the loss and its gradient with respect to
the logits are computed in the same buffer, and what is left of it are the gradients of hidden states and head:

    hidden (S, H) ── head ──> logits (S, V) ──> loss (S,), gradient (S, V) ──> (S, H) and, unless frozen, (V, H)

A loss is a sum of terms. A term reads the student's distribution at one temperature T through a few numbers for each
position:

    kept   log q_j of K chosen tokens          rest   log of the sum of all other q
    drawn  log q_j of M tokens of the rest     mean   1/V sum_v log q_v, over all tokens

Autograd differentiates the term with respect to these few numbers; the gradient over the vocabulary follows from
    d kept_j / d z_v = (1[v = j] - q_v) / T        d rest / d z_v = (1[v in rest] q_v / q_rest - q_v) / T
so any divergence costs the same. `rest` is a sum over the other tokens themselves, from their own maximum on: 1 minus
the kept mass would have no digits left where a model is sure.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch.autograd.function import once_differentiable

# Logits of one chunk. On a CPU 64 MiB in float32; a GPU reads the whole head for each chunk, so its chunks are larger.
CHUNK_ELEMENTS = {"cuda": 2**27, "cpu": 2**24}


class LogProbs(NamedTuple):
    """What a term reads of the student's distribution at S positions, as natural logarithms."""

    kept: torch.Tensor  # (S, K) of the term's `ids`
    rest: torch.Tensor  # (S,) of all other tokens together
    drawn: torch.Tensor | None  # (S, M) of the term's `drawn`
    mean: torch.Tensor | None  # (S,) over the whole vocabulary


class Term(Protocol):
    """A part of the loss that reads the student's distribution at one temperature."""

    temperature: float
    ids: torch.Tensor  # (N, K) int64, the tokens of `kept`; the K of a position differ from one another
    drawn: torch.Tensor | None  # (N, M) int64, tokens of the rest, perhaps one of them more than once
    vocab_size: int | None  # tokens from this id on count as impossible
    needs_mean: bool

    def loss(self, chunk: slice, seen: LogProbs) -> torch.Tensor:
        """The weighted loss (S,) of the positions in `chunk`."""
        ...


def head_loss(
    hidden: torch.Tensor,
    head: torch.nn.Module,
    terms: Sequence[Term],
    chunk_elements: int | None = None,
    groups: torch.Tensor | None = None,
) -> torch.Tensor:
    """The sum of all terms over the positions of `hidden` (N, H), a float32 scalar.

    `groups` (N,) are ascending numbers: a term sees all positions with the same number in one chunk.

    `head` is a linear layer: `weight` (V, H), and `bias` (V,) or None. Its gradient is skipped if it is frozen.
    """
    weight: Any = head.weight
    bias = getattr(head, "bias", None)
    chunks = _chunks(hidden, len(weight), chunk_elements, groups)
    return _HeadLoss.apply(hidden, weight, bias, terms, chunks)  # pyright: ignore[reportReturnType]


def logits_loss(
    logits: torch.Tensor,
    terms: Sequence[Term],
    chunk_elements: int | None = None,
    groups: torch.Tensor | None = None,
) -> torch.Tensor:
    """The same for a model that changes its logits (N, V) after the head. The gradient (N, V) has their dtype."""
    chunks = _chunks(logits, logits.shape[1], chunk_elements, groups)
    return _LogitsLoss.apply(logits, terms, chunks)  # pyright: ignore[reportReturnType]


class _HeadLoss(torch.autograd.Function):
    """Computes the gradients in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        terms: Sequence[Term],
        chunks: Sequence[slice],
    ) -> torch.Tensor:
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        # Under autocast hidden states are still float32, in most models, and products in place are not cast by it.
        arithmetic = _arithmetic(hidden)
        cast, offset = weight.to(arithmetic), None if bias is None else bias.to(arithmetic)
        for_hidden = torch.empty_like(hidden) if wants_hidden else None
        for_weight = torch.zeros_like(weight, dtype=_of_sums(weight, chunks)) if wants_weight else None
        for_bias = torch.zeros_like(bias, dtype=_of_sums(bias, chunks)) if bias is not None and wants_bias else None
        total = hidden.new_zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32))
        for chunk in chunks:
            part = hidden[chunk].to(arithmetic)
            logits = torch.nn.functional.linear(part, cast, offset)
            gradient = logits if logits.dtype == total.dtype else logits.to(total.dtype)
            total += loss_and_gradient(gradient, terms, chunk, any(ctx.needs_input_grad))
            if for_bias is not None:
                for_bias += gradient.sum(dim=0)
            gradient = gradient.to(arithmetic)
            if for_hidden is not None:
                for_hidden[chunk] = gradient @ cast
            if for_weight is not None:
                _add_product(for_weight, gradient, part)
        for_weight, for_bias = (None if sums is None else sums.to(weight.dtype) for sums in (for_weight, for_bias))
        ctx.save_for_backward(for_hidden, for_weight, for_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return (*(_scaled(gradient, *grad_outputs) for gradient in ctx.saved_tensors), None, None)


class _LogitsLoss(torch.autograd.Function):
    """As `_HeadLoss`, where the logits are given."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, terms: Sequence[Term], chunks: Sequence[slice]) -> torch.Tensor:
        gradients = torch.empty_like(logits)
        total = logits.new_zeros((), dtype=torch.promote_types(logits.dtype, torch.float32))
        for chunk in chunks:
            gradient = logits[chunk].to(total.dtype, copy=True)
            total += loss_and_gradient(gradient, terms, chunk, ctx.needs_input_grad[0])
            gradients[chunk] = gradient
        ctx.save_for_backward(gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _scaled(ctx.saved_tensors[0], *grad_outputs), None, None


def loss_and_gradient(logits: torch.Tensor, terms: Sequence[Term], chunk: slice, differentiate: bool) -> torch.Tensor:
    """The loss of a chunk's positions. `logits` (S, V) is overwritten with its gradient, if `differentiate` is set."""
    first, *others = terms
    copies = [logits.clone() for _ in others]
    total = _term(logits, first, chunk, differentiate)
    for term, copy in zip(others, copies, strict=True):
        total = total + _term(copy, term, chunk, differentiate)
        logits.add_(copy)
    return total


def _term(logits: torch.Tensor, term: Term, chunk: slice, differentiate: bool) -> torch.Tensor:
    """The loss of one term; its gradient replaces `logits` (S, V)."""
    ids, drawn = term.ids[chunk], None if term.drawn is None else term.drawn[chunk]
    if term.vocab_size is not None:
        logits[:, term.vocab_size :] = float("-inf")
    if term.temperature != 1:
        logits.div_(term.temperature)
    average = logits.mean(dim=-1) if term.needs_mean else None  # (S,)
    chosen, others = logits.gather(1, ids), None if drawn is None else logits.gather(1, drawn)  # (S, K), (S, M)
    highest = logits.scatter_(1, ids, float("-inf")).amax(dim=-1, keepdim=True)  # (S, 1) of the rest
    highest.clamp_(min=torch.finfo(logits.dtype).min)  # K = V: there is no rest
    masses = logits.sub_(highest).exp_()  # (S, V), 0 at the chosen
    mass = masses.sum(dim=-1, keepdim=True)  # (S, 1), at least 1 unless there is no rest
    norm = torch.logaddexp(mass.log() + highest, chosen.logsumexp(dim=-1, keepdim=True))  # (S, 1)
    seen = LogProbs(
        kept=chosen - norm,
        rest=(mass.log() + highest - norm)[:, 0],
        drawn=None if others is None else others - norm,
        mean=None if average is None else average - norm[:, 0],
    )
    if not differentiate:
        return term.loss(chunk, seen).sum()
    loss, slopes = _slopes(term, chunk, seen)
    _spread(masses, mass, highest - norm, seen, slopes, ids, drawn)
    if term.temperature != 1:
        masses.div_(term.temperature)
    return loss


def _slopes(term: Term, chunk: slice, seen: LogProbs) -> tuple[torch.Tensor, LogProbs]:
    """The loss of a term, and its derivative with respect to each number that it reads."""
    inputs = [None if part is None else part.detach().requires_grad_() for part in seen]
    with torch.enable_grad():
        loss = term.loss(chunk, LogProbs(*inputs)).sum()  # pyright: ignore[reportArgumentType]
    given = [part for part in inputs if part is not None]
    found = iter(torch.autograd.grad(loss, given, allow_unused=True, materialize_grads=True))
    return loss.detach(), LogProbs(*(None if part is None else next(found) for part in inputs))  # pyright: ignore[reportArgumentType]


def _spread(
    masses: torch.Tensor,
    mass: torch.Tensor,
    scale: torch.Tensor,
    seen: LogProbs,
    slopes: LogProbs,
    ids: torch.Tensor,
    drawn: torch.Tensor | None,
) -> None:
    """Overwrite `masses` (S, V) with the gradient over the vocabulary; q_v of the rest is masses * exp(scale)."""
    share = torch.where(mass > 0, slopes.rest[:, None] / mass, 0.0)  # (S, 1)
    every = slopes.kept.sum(dim=-1) + slopes.rest  # (S,): what falls on each token in proportion to its q
    every = every if slopes.mean is None else every + slopes.mean
    every = (every if slopes.drawn is None else every + slopes.drawn.sum(dim=-1))[:, None]
    masses.mul_(share - every * scale.exp())
    masses.scatter_add_(1, ids, slopes.kept - every * seen.kept.exp())
    if drawn is not None and slopes.drawn is not None:
        masses.scatter_add_(1, drawn, slopes.drawn)
    if slopes.mean is not None:
        masses.add_(slopes.mean[:, None] / masses.shape[1])


def _chunks(rows: torch.Tensor, width: int, elements: int | None, groups: torch.Tensor | None) -> list[slice]:
    """The positions in chunks of at most `elements` logits; a group that has more is a chunk of its own."""
    positions = max(1, (elements or CHUNK_ELEMENTS[rows.device.type]) // width)
    if groups is None:
        return [slice(start, min(start + positions, len(rows))) for start in range(0, len(rows), positions)]
    ends = list(_ends_of_chunks(groups, positions))
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _ends_of_chunks(groups: torch.Tensor, positions: int) -> Iterator[int]:
    """Where the longest chunks of whole groups end, each of at most `positions` or of one group."""
    start, last = 0, 0
    for end in [*(torch.nonzero(groups.diff())[:, 0] + 1).tolist(), len(groups)]:
        if end - start > positions and last > start:
            yield last
            start = last
        last = end
    yield last


def _scaled(gradient: torch.Tensor | None, upstream: torch.Tensor) -> torch.Tensor | None:
    """The gradient times that of what the loss went into, which is 1 in training; a copy of a head is large."""
    return gradient if gradient is None or upstream.item() == 1 else gradient * upstream


def _arithmetic(hidden: torch.Tensor) -> torch.dtype:
    """The precision of matrix products: autocast's, or that of the hidden states."""
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


def _of_sums(weight: torch.Tensor, chunks: Sequence[slice]) -> torch.dtype:
    """The precision in which the gradients of several chunks are added: in bfloat16 each sum would lose digits."""
    return weight.dtype if len(chunks) == 1 else torch.promote_types(weight.dtype, torch.float32)


def _add_product(sums: torch.Tensor, gradient: torch.Tensor, hidden: torch.Tensor) -> None:
    """Add gradient^T hidden, (V, S) times (S, H), to `sums` (V, H)."""
    if sums.dtype == gradient.dtype:
        sums.addmm_(gradient.T, hidden)
    else:
        sums += gradient.T @ hidden
