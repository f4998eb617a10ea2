"""What exists during the whole step: weights, and the optimizer's state, in bytes.

adamw        8 bytes a trained weight, two moments in float32
adamw_8bit   2 and an eighth of one for the scales; 8 in a tensor of fewer than 4,096 weights, which stays in float32
adafactor    4 a row and 4 a column of a matrix, 4 a weight of a vector
"""

from collections.abc import Iterable
from typing import Any

from distill_dagster.config import TrainingConfig

WEIGHT_BYTES = {"float32": 4, "bfloat16": 2}
STATE_BYTES = {"adamw": 8, "adamw_8bit": 2, "adafactor": 0}  # of a weight in a large matrix
QUANTIZED_FROM, BLOCK = 4096, 256  # bitsandbytes: smallest tensor in 8 bits; weights that share a scale
CHUNK_COPIES = 6  # float32 copies of a chunk in `RoundingAdamW`: weight, gradient, random bits, and AdamW's own
ADAFACTOR_COPIES = 3  # of the largest weight: its square, the factored estimate, the update


def bytes_per_parameter(training: TrainingConfig) -> int:
    """The least bytes that each weight of the model takes: its own, its gradient's and the optimizer's."""
    weight = WEIGHT_BYTES[training.weights]
    return weight if training.lora else 2 * weight + STATE_BYTES[training.optimizer]


def can_shard(training: TrainingConfig) -> bool:
    """Whether ranks may split the model: `parallel` allows it, and the optimizer's state can be split."""
    return training.parallel != "ddp" and training.optimizer == "adamw"


def tensor_bytes(tensors: Iterable[Any]) -> int:
    """Bytes of some tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def state_bytes(trained: Iterable[Any], optimizer: str) -> int:
    """Bytes of the optimizer's state for these weights."""
    return int(sum(_state_of(tuple(weight.shape), optimizer) for weight in trained))


def _state_of(shape: tuple[int, ...], optimizer: str) -> float:
    count = 1
    for size in shape:
        count *= size
    if optimizer == "adafactor":
        return 4 * (count // shape[-1] + count // shape[-2]) if len(shape) > 1 else 4 * count
    if optimizer == "adamw_8bit" and count >= QUANTIZED_FROM:
        return count * (2 + 8 / BLOCK)
    return 8 * count


def update_bytes(trained: Iterable[Any], training: TrainingConfig, chunk: int) -> int:
    """What the optimizer's step takes besides weights, gradients and state."""
    largest = max((weight.numel() for weight in trained), default=0)
    if training.optimizer == "adafactor":
        return ADAFACTOR_COPIES * 4 * largest
    if training.weights == "bfloat16" and training.lora is None:
        return CHUNK_COPIES * 4 * min(largest, chunk)
    return 0
