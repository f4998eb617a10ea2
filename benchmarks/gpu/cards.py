"""What the machine is."""

import sys
from typing import Any


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
