"""Lets a model's forward compute a signal's loss, so that no caller ever holds the logits of all positions.

Autocast, gradient synchronisation and sharding are set up around `forward`. A loss that called the body and the head
from outside would run without them.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from distill_dagster.models.head import takes_positions, try_head
from distill_dagster.training.signals.kernel import Term, head_loss, logits_loss


@contextlib.contextmanager
def computing_loss(model: PreTrainedModel) -> Iterator[None]:
    """Inside the block, `model(input_ids=…, counted=…, terms=…)` returns the sum of all terms, a float32 scalar.

    `input_ids` are (B, T), padded on the right: under causal attention no real token sees the padding, so no attention
    mask is needed. `counted` (B, T) marks the N tokens whose predictions enter the loss; the first token has none. The
    terms' positions are these N, row by row. `groups` (N,), if given, are ascending numbers of positions that the terms
    see together. What `also` returns is added to the sum; it is called behind the layers, so that it may read what
    hooks on them have kept.
    """
    plain, is_training, head = model.forward, model.training, model.get_output_embeddings()
    apart, slices = try_head(model.eval()).is_apart, takes_positions(model)
    model.train(is_training)

    def forward(
        input_ids: torch.Tensor,
        counted: torch.Tensor,
        terms: Sequence[Term],
        groups: torch.Tensor | None = None,
        also: Callable[[], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        loss = sum_of(input_ids, counted, terms, groups)
        return loss if also is None else loss + also()

    def sum_of(
        input_ids: torch.Tensor, counted: torch.Tensor, terms: Sequence[Term], groups: torch.Tensor | None
    ) -> torch.Tensor:
        if apart and head is not None:
            hidden = model.get_decoder()(input_ids=input_ids, use_cache=False).last_hidden_state  # (B, T, H)
            return head(hidden[:, :-1][counted[:, 1:]], terms=terms, groups=groups)
        first = int(counted.any(dim=0).int().argmax()) - 1
        kept = torch.arange(first, input_ids.shape[1] - 1, device=input_ids.device)
        if slices:
            logits = plain(input_ids=input_ids, use_cache=False, logits_to_keep=kept).logits  # (B, K, V)
        else:
            logits = plain(input_ids=input_ids, use_cache=False).logits[:, kept]
        return logits_loss(logits[counted[:, first + 1 :]], terms, groups=groups)

    patched: Any = model
    patched.forward = forward
    try:
        with _computing_at(head) if apart else contextlib.nullcontext():
            yield
    finally:
        patched.forward = plain


@contextlib.contextmanager
def _computing_at(head: Any) -> Iterator[None]:
    """Inside the block the head's own forward computes the loss, so that sharding gathers its weights around it."""
    before = vars(head).get("forward")
    head.forward = lambda hidden, terms, groups: head_loss(hidden, head, terms, groups=groups)
    try:
        yield
    finally:
        del head.forward
        if before is not None:
            head.forward = before
