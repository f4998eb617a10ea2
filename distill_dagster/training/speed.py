"""How fast a training is: tokens a second, and on a GPU its MFU.

MFU, model FLOP utilization, is the share of the card's peak that the model's own arithmetic takes (Chowdhery et al.
2022, "PaLM", appendix B). A weight costs 6 floating point operations a token: 2 forward, 4 backward. Attention's own
products are left out, which for rows of a few hundred tokens are 1 or 2 % of the whole. What a teacher beside the
student computes, and what gradient checkpointing computes again, do not count.

    100 million weights, 400,000 tokens/s on an H100:   6 * 1e8 * 4e5 / 989e12 = 24 %
"""

import time
from collections.abc import Mapping
from typing import Any

from distill_dagster.models.building import parameter_count

# Dense bfloat16 peaks in FLOP/s without sparsity, from NVIDIA's data sheets: "H100 Tensor Core GPU" (SXM; the sheet
# says 1,979e12 with sparsity), "H200 Tensor Core GPU" (likewise) and "A100 Tensor Core GPU" (312e12). A card's name
# must hold one of these words. The PCIe and NVL variants of the H100 and a slice of a card (MIG) are slower and have no
# entry.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
SLOWER = {"PCIE", "NVL", "MIG"}


def peak_flops(card: str) -> float | None:
    """The dense bfloat16 peak in FLOP/s of a card, by its name; None where it is not known."""
    words = card.upper().replace("-", " ").split()
    slower = SLOWER - {"PCIE"} if "A100" in words else SLOWER  # an A100 has one peak in both forms
    if slower & set(words):
        return None
    return next((peak for name, peak in PEAKS.items() if name in words), None)


def mfu(parameters: int, tokens_per_second: float, card: str, cards: int = 1) -> float | None:
    """6 N tokens/s over the peak of all cards, 0 … 1; None where it is not known."""
    peak = peak_flops(card)
    return 6 * parameters * tokens_per_second / (peak * cards) if peak else None


class StepSpeed:
    """The tokens of the steps since the last logged loss, and the time that those steps took.

    The time begins with the first of these steps. So it leaves out the validation and the checkpoint before it.
    """

    def __init__(self, parameters: int | None, card: str, cards: int) -> None:
        """`parameters` is None if not all of them train: then 6 operations a weight would be too many."""
        self.parameters, self.card, self.cards = parameters, card, cards
        self._tokens, self._began = 0, 0.0

    @classmethod
    def of(cls, model: Any, device: Any, processes: int) -> "StepSpeed":
        """The speed of the training of `model` in so many processes, each on a device like this one."""
        import torch
        from peft import PeftModel

        card = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        return cls(None if isinstance(model, PeftModel) else parameter_count(model), card, processes)

    def begin(self) -> None:
        """A step begins."""
        if not self._tokens:
            self._began = time.perf_counter()

    def add(self, tokens: int) -> None:
        """Count the tokens of a step, over all processes, prompts included."""
        self._tokens += tokens

    def taken(self) -> dict[str, float]:
        """The speed since the first step that was added, and begin again; empty if none was."""
        tokens, self._tokens = self._tokens, 0
        if not tokens:
            return {}
        speed = tokens / max(time.perf_counter() - self._began, 1e-9)
        share = mfu(self.parameters, speed, self.card, self.cards) if self.parameters else None
        return {"tokens_per_second": speed, **({"mfu": share} if share is not None else {})}


def in_words(logs: Mapping[str, float]) -> str:
    """What a training logs beside its losses, as a part of a line; empty for a log without a loss."""
    parts = {
        "grad_norm": lambda norm: f"gradient norm {norm:.3g}",
        "tokens_per_second": lambda speed: f"{speed:,.0f} tokens/s",
        "mfu": lambda share: f"MFU {share:.1%}",
    }
    return "".join(f", {say(logs[name])}" for name, say in parts.items() if name in logs and "loss" in logs)
