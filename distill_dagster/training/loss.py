"""The loss: cross-entropy on the tokens of the answer, and, where asked, a little of it on those of the prompt.

    L = sum_t w_t * -log p(x_t | x_<t) / sum_t w_t        w = 1 on the answer, prompt_loss_weight on the prompt

With label smoothing e the target is (1 - e) on the true token and e spread evenly over the vocabulary (Szegedy et
al. 2016, section 7). B rows, T positions, K of them with logits, V tokens.
"""

import inspect
from typing import Any


def weighted_loss(model: Any, batch: dict[str, Any], smoothing: float = 0.0) -> Any:
    """The sum of w_t * cross-entropy over a batch; the caller divides by the weights it wants.

    Logits are computed only from `batch["first"]` on, where the model can leave the others out.
    """
    import torch
    import torch.nn.functional as F

    ids, weights, first = batch["input_ids"], batch["weights"], batch["first"]  # (B, T), (B, T), int
    positions = torch.arange(first, ids.shape[1] - 1, device=ids.device)  # (K,)
    if takes_positions(model):
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=positions).logits  # (B, K, V)
    else:
        logits = model(input_ids=ids, use_cache=False).logits[:, positions]  # (B, K, V)
    targets, weights = ids[:, first + 1 :], weights[:, first + 1 :]  # (B, K), (B, K)
    counted = weights > 0
    losses = F.cross_entropy(logits[counted].float(), targets[counted], reduction="none", label_smoothing=smoothing)
    return (losses * weights[counted]).sum()


def takes_positions(model: Any) -> bool:
    """Whether `forward` can be told which positions need logits."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters
