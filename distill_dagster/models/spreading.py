"""Spreads a model's layers over several devices, if it does not fit the first; they run one after another.

    cuda:0   embeddings, layers 0 to 13          cuda:1   layers 14 to 27, norm, head

Accelerate balances the layers by size and moves what passes from one device to the next. The model's inputs and outputs
are on the first device.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.process import GB

FITS = 0.7  # share of a device's memory that weights may take, beside activations and caches


def place(model: Any, devices: Sequence[str]) -> Any:
    """The model on the first of these devices, or with its layers on all of them if it does not fit the first.

    Raises:
        ModelError: they have too little free memory for it.
    """
    if len(devices) == 1 or model.get_memory_footprint() <= FITS * _total(devices[0]):
        return model.to(devices[0])
    return _spread(model, devices)


def _spread(model: Any, devices: Sequence[str]) -> Any:
    from accelerate import dispatch_model

    return dispatch_model(
        model,
        device_map=map_of(model, _room(devices)),
        skip_keys=model._skip_keys_device_placement,  # what stays on the device of its layer, such as the cache
    )


def is_spread(model: Any) -> bool:
    """Whether the model's layers are on more than one device."""
    return len(set(getattr(model, "hf_device_map", {}).values())) > 1


def map_of(model: Any, room: Mapping[Any, int]) -> dict[str, Any]:
    """Name of a module -> the device that its weights go to; `room` holds the free bytes of each device.

    Raises:
        ModelError: the weights do not fit.
    """
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    whole = list(model._no_split_modules or [])
    limits: Any = get_balanced_memory(model, dict(room), no_split_module_classes=whole)
    placed = infer_auto_device_map(model, max_memory=limits, no_split_module_classes=whole)
    if not set(placed.values()) <= set(room):
        needed, free = (f"{size / GB:.1f}" for size in (model.get_memory_footprint(), sum(room.values())))
        raise ModelError(
            f"the model's weights are {needed} GB, and its {len(room)} devices have {free} GB free together, with each "
            "layer on one of them: raise `compute.….gpus`, or use devices with more memory"
        )
    return placed


def _total(device: str) -> int:
    import torch

    return torch.cuda.get_device_properties(device).total_memory


def _room(devices: Sequence[str]) -> dict[int, int]:
    """The free bytes of each device; no other one is used, and not the main memory."""
    import torch

    return {torch.device(device).index: torch.cuda.mem_get_info(device)[0] for device in devices}
