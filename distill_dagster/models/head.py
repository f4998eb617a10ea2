"""Whether a model's logits are its head over its body, so that the head can run on some positions only.

Some architectures change the logits after the head (Gemma 2 caps them, Cohere and Granite scale them), so each model is
tried once, on a few tokens.
"""

import inspect
from typing import Any, NamedTuple


class Head(NamedTuple):
    """What a model's head gives."""

    vocab_size: int  # the width of the logits
    is_apart: bool  # whether `head(body(ids))` equals the model's own logits in every bit


def try_head(model: Any) -> Head:
    """Run the model, which is on its device, on a few tokens."""
    import torch

    head, ids = model.get_output_embeddings(), torch.arange(8, device=model.device)[None]  # (1, T)
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits  # (1, T, V)
        hidden = getattr(model.get_decoder()(input_ids=ids, use_cache=False), "last_hidden_state", None)
        is_apart = head is not None and hidden is not None and torch.equal(head(hidden).to(logits.device), logits)
    return Head(int(logits.shape[-1]), is_apart)


def takes_positions(model: Any) -> bool:
    """Whether the model's `forward` can leave out the logits of some positions."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters
