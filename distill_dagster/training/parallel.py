"""How ranks share a training: each with a copy of the model (DDP), or each with a part of every weight (FSDP2).

    ddp     every device holds weights, gradients and optimizer; gradients are averaged
    fsdp    every device holds the N-th part of each of them; a layer's weights are gathered while it runs

Both take the same step as one process, because the ranks share its batches (batches.py). FSDP2 is Accelerate's, through
the Trainer's arguments. Its weights stay float32 where they are gathered, and autocast computes in bfloat16, as on one
device.
"""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.distributed.tensor import DTensor

from distill_dagster.config import LogitsConfig, TrainingConfig
from distill_dagster.models.building import parameter_count
from distill_dagster.process import GB, main_memory_gb
from distill_dagster.ranks import group
from distill_dagster.training.adapter import plain
from distill_dagster.training.memory.estimate import Shared, plan_of
from distill_dagster.training.memory.state import bytes_per_parameter, can_shard

FSDP = {"fsdp": True, "fsdp_config": {"version": 2, "state_dict_type": "SHARDED_STATE_DICT"}}


def is_sharded(config: TrainingConfig, model: Any, device: str) -> bool:
    """Whether the ranks split the model; the first rank decides for all, by the memory plan of a step."""
    if group.count() == 1 or not can_shard(config):
        return False
    return config.parallel == "fsdp" or group.of_first(lambda: not _fits_whole(config, model, device))


def _fits_whole(config: TrainingConfig, model: Any, device: str) -> bool:
    """Whether one device holds a step: the model, its gradients, the optimizer's state, activations."""
    base = plain(model)
    try:
        shared = Shared(group.count(), _memory_gb(device) * GB)
        return not plan_of(base.config, config, LogitsConfig(), torch.device(device).type, shared).sharded
    except RuntimeError:  # a model that cannot be followed is counted by parameter
        return parameter_count(base) * bytes_per_parameter(config) < _memory_gb(device) * GB / 2


def _memory_gb(device: str) -> float:
    """The memory of a rank's device, or its part of the main memory."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory / GB
    return main_memory_gb() / group.count()


def shard_policy() -> dict[str, Any]:
    """What Accelerate's plugin gets beside the Trainer's arguments: weights are gathered in their own precision."""
    return {"mixed_precision_policy": MixedPrecisionPolicy()}


def shard_on_cpu(accelerator: Any, plugin_arguments: dict[str, Any]) -> None:
    """Have Accelerate shard over gloo too; by itself it does so on GPUs alone."""
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils import DistributedType

    accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(**plugin_arguments)
    accelerator.state.distributed_type = DistributedType.FSDP


@contextlib.contextmanager
def whole_afterwards(model: Any, is_sharded: bool) -> Iterator[None]:
    """Behind the block, `model` is on the CPU with all of its weights, on the first rank; other ranks have a blank one.

    Sharding changes a model for good: its classes, its hooks, its parameters. So it becomes a copy without weights that
    was made before, and takes the weights.
    """
    if not is_sharded:
        yield
        return
    blank = _blank(model)
    yield
    gathered = _gathered(model)
    if group.is_first():
        blank.load_state_dict(gathered, assign=True)
        plain(blank).tie_weights()
    model.__class__, model.__dict__ = blank.__class__, blank.__dict__


def _blank(model: torch.nn.Module) -> torch.nn.Module:
    """A copy whose parameters have shape and dtype, and no data; buffers are copied."""
    empty = {
        id(p): torch.nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=p.requires_grad)
        for p in model.parameters()
    }
    return copy.deepcopy(model, empty)


def _gathered(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The model's state with whole tensors on the first rank, one of them gathered at a time."""
    state: dict[str, torch.Tensor] = {}
    for name, tensor in model.state_dict().items():
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if group.is_first():
            state[name] = whole.detach().cpu()
    return state
