"""Whether a model's logits are its head over its body, so that the head can run on some positions only.

Some architectures change the logits after the head (Gemma 2 caps them, Cohere and Granite scale them), so each model is
tried once, on a few tokens.
"""

import inspect
from typing import Any


def is_head_apart(model: Any) -> bool:
    """Whether `head(body(ids))` equals the model's own logits in every bit. The model is on its device."""
    import torch

    head, ids = model.get_output_embeddings(), torch.arange(8, device=model.device)[None]  # (1, T)
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits  # (1, T, V)
        hidden = getattr(model.get_decoder()(input_ids=ids, use_cache=False), "last_hidden_state", None)
        return head is not None and hidden is not None and torch.equal(head(hidden), logits)


def takes_positions(model: Any) -> bool:
    """Whether the model's `forward` can leave out the logits of some positions."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters
