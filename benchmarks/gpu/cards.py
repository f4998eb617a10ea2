"""What the machine is, and the most that its card can compute.

MFU, model FLOP utilization, is the share of the card's peak that the model's own arithmetic takes (Chowdhery et al.
2022, "PaLM", appendix B). A weight costs 6 floating point operations a token: 2 forward, 4 backward. Attention's own
products are left out, which for rows of a few hundred tokens are 1 or 2 % of the whole.
"""

import sys
from typing import Any

# Dense bfloat16 peaks in FLOP/s without sparsity, from NVIDIA's data sheets: "H100 Tensor Core GPU" (SXM; the sheet
# says 1,979e12 with sparsity), "H200 Tensor Core GPU" (likewise) and "A100 Tensor Core GPU" (312e12). A card's name
# must hold one of these names; the PCIe and NVL variants of the H100 are slower, and have no entry.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
SLOWER = ("PCIe", "NVL")


def peak_flops(card: str) -> float | None:
    """The card's dense bfloat16 peak in FLOP/s; None where it is not known."""
    if "A100" not in card and any(word in card for word in SLOWER):
        return None
    return next((peak for name, peak in PEAKS.items() if name in card), None)


def mfu(parameters: int, tokens_per_second: float, card: str) -> float | None:
    """6 N tokens/s over the card's peak, 0 … 1; None where the peak is not known."""
    peak = peak_flops(card)
    return 6 * parameters * tokens_per_second / peak if peak else None


def machine() -> dict[str, Any]:
    """The device that is measured, the card's name and memory, and the versions that the figures depend on."""
    import torch
    import transformers

    found = torch.cuda.is_available()
    return {
        "device": "cuda:0" if found else "cpu",
        "card": torch.cuda.get_device_name(0) if found else None,
        "card_memory_bytes": torch.cuda.get_device_properties(0).total_memory if found else None,
        "cuda": torch.version.cuda,
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
