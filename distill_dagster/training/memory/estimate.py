"""The memory plan of a training: what a step takes, whether it fits, and which settings would make it fit.

    peak 131.0 GB: weights 15.1, optimizer's state 0.3, gradients 0.2, activations 113.4, loss 2.1
    gradient_checkpointing: true                              ->   24.9 GB
    batch_size: 4 with gradient_accumulation: 4               ->   44.1 GB

Where several ranks share the training, the plan is that of one of them: it has its part of the batch's rows, and under
FSDP its part of the weights. Under DDP gradients exist twice, because they are averaged in buckets.

A GPU also holds what is not in this sum: CUDA's context and the gaps of torch's allocator. On a CPU the C library keeps
freed blocks. `RESERVED` and `SLACK` are what is left for these.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from distill_dagster.config import LogitsConfig, LoraConfig, StudentTrainingConfig, TrainingConfig
from distill_dagster.models.row_limits import longest_row
from distill_dagster.process import GB
from distill_dagster.training.memory.state import WEIGHT_BYTES, bytes_per_parameter, can_shard
from distill_dagster.training.memory.step import LargestBatch, StepMemory, step_memory, stored_tokens

RESERVED = {"cuda": GB, "cpu": 0.6 * GB}  # the context of CUDA with its libraries; the interpreter with torch
SLACK = {"cuda": 0.05, "cpu": 0.3}  # of activations and loss; glibc was measured to keep up to 0.4 of them
MOST_CHANGES = 3


@dataclass(frozen=True, slots=True)
class Change:
    """Settings that would make a training fit, and the bytes that it would take with them."""

    says: str
    needed: int


class MemoryPlan:
    """The plan of one training on `cuda` or `cpu`; `beside` are bytes of another model's weights there.

    Raises:
        TrainingError: the adapters do not fit the model.
        RuntimeError: the model's code cannot be followed without data.
    """

    def __init__(
        self,
        config: Any,
        training: TrainingConfig,
        logits: LogitsConfig | None,
        device: str,
        beside: int = 0,
        ranks: int = 1,
        sharded: bool = False,
    ) -> None:
        self.config, self.training, self.device, self.beside = config, training, device, beside
        self.ranks, self.sharded = ranks, sharded
        self.k = stored_tokens(training, logits)
        self.step = self._step(training)

    @property
    def needed(self) -> int:
        """Bytes that the device must have."""
        return self._needed(self.step)

    def __str__(self) -> str:
        step = self.step
        parts = {
            "weights": step.weights,
            "optimizer's state": step.optimizer,
            "gradients": step.gradients,
            "activations": step.activations,
            "loss": step.loss,
        }
        parts |= {"the teacher beside it": self.beside} if self.beside else {}
        listed = ", ".join(f"{name} {size / GB:.1f}" for name, size in parts.items())
        rows, length = self._rows(self.training), self._length()
        said = f"peak {(step.peak + self.beside) / GB:.1f} GB for {rows} rows of {length:,} tokens ({listed})"
        how = "a part of the weights (fsdp)" if self.sharded else "a copy of the model (ddp)"
        return said if self.ranks == 1 else f"{said} on each of {self.ranks} devices, with {how}"

    def changes(self, available: float) -> list[Change]:
        """At most three changes with which the training fits into `available` bytes, the mildest of each kind."""
        found: dict[str, Change] = {}
        last: dict[str, tuple[int, int, int]] = {}  # kind -> rows, bytes of activations and loss, all other bytes
        for kind, change in self._candidates():
            training = self.training.model_copy(update=change)
            if kind in found or self._least(training) > available or _is_hopeless(last, kind, training, available):
                continue
            step = self._step(training)
            needed, own = self._needed(step), step.weights + step.optimizer + self.beside
            last[kind] = training.batch_size, needed - own, own
            if needed <= available:
                found[kind] = Change(_says(change), needed)
            if len(found) == MOST_CHANGES:
                break
        return list(found.values())

    def _least(self, training: TrainingConfig) -> float:
        """Bytes of weights, gradients and state, and of the runtime: without any activation."""
        parameters = self.step.weights / WEIGHT_BYTES[self.training.weights]  # of a rank, if they are sharded
        return parameters * bytes_per_parameter(training) + self.beside + RESERVED[self.device]

    def _candidates(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Changes by kind: of one setting, of the batch, then of several settings at once."""
        seen: list[dict[str, Any]] = [{}]
        for kind, change in self._all_candidates():
            differing = {name: value for name, value in change.items() if getattr(self.training, name) != value}
            if differing not in seen:
                seen.append(differing)
                yield kind, differing

    def _all_candidates(self) -> Iterator[tuple[str, dict[str, Any]]]:
        training = self.training
        single = [change for change in _SINGLE if _differs(training, change)]
        yield from (("checkpointing", change) for change in single if "gradient_checkpointing" in change)
        yield from (("batch", _batch(training, size)) for size in _halves(training.batch_size))
        yield from ((name, change) for change in single for name in change if name != "gradient_checkpointing")
        several = {kind: more for kind, more in _SEVERAL.items() if "lora" not in more or _takes_adapters(training)}
        for kind, more in several.items():
            for size in (training.batch_size, *_halves(training.batch_size)):
                yield kind, {"gradient_checkpointing": True} | more | _batch(training, size)

    def _step(self, training: TrainingConfig) -> StepMemory:
        largest = LargestBatch(self._rows(training), self._length(), self.k)
        step = step_memory(self.config, training, largest, self.device)
        if self.sharded:
            return step.sharded(self.ranks)
        return replace(step, peak=step.peak + step.gradients) if self.ranks > 1 else step

    def _rows(self, training: TrainingConfig) -> int:
        """The most rows that a rank has of a batch."""
        return -(-training.batch_size // self.ranks)

    def _length(self) -> int:
        return min(self.training.max_length, longest_row(self.config) or self.training.max_length)

    def _needed(self, step: StepMemory) -> int:
        slack = SLACK[self.device] * (step.peak - step.weights - step.optimizer)
        return int(step.peak + slack + self.beside + RESERVED[self.device])


@dataclass(frozen=True, slots=True)
class Shared:
    """How many ranks share a training, and the bytes that each has; `beside` are those of the teacher beside it."""

    ranks: int
    available: float
    beside: int = 0


def plan_of(
    config: Any, training: TrainingConfig, logits: LogitsConfig | None, device: str, shared: Shared
) -> MemoryPlan:
    """The plan of the way in which `parallel` says that the ranks share a training.

    Raises:
        TrainingError, RuntimeError: as `MemoryPlan` does.
    """
    whole = MemoryPlan(config, training, logits, device, shared.beside, shared.ranks)
    fits = whole.needed <= shared.available
    if shared.ranks == 1 or not can_shard(training) or (training.parallel == "auto" and fits):
        return whole
    return MemoryPlan(config, training, logits, device, shared.beside, shared.ranks, sharded=True)


_SINGLE: tuple[dict[str, Any], ...] = (
    {"gradient_checkpointing": True},
    {"lora": LoraConfig()},
    {"weights": "bfloat16"},
)
_SEVERAL: dict[str, dict[str, Any]] = {
    "several": {},
    "several in bfloat16": {"weights": "bfloat16", "optimizer": "adamw"},
    "several with adapters": {"lora": LoraConfig(), "weights": "bfloat16"},
}


def _is_hopeless(last: dict[str, tuple[int, int, int]], kind: str, training: TrainingConfig, available: float) -> bool:
    """Whether a smaller batch of the same kind cannot fit: activations and loss shrink no faster than the rows."""
    if kind not in last:
        return False
    rows, passing, own = last[kind]
    return own + passing * training.batch_size / rows > available


def _differs(training: TrainingConfig, change: dict[str, Any]) -> bool:
    """Whether a change is one, and a config may have it."""
    ((name, value),) = change.items()
    if name == "lora":
        return training.lora is None and _takes_adapters(training)
    if name == "weights" and training.optimizer != "adamw" and training.lora is None:
        return False
    return getattr(training, name) != value


def _takes_adapters(training: TrainingConfig) -> bool:
    """Whether the config may have `lora`."""
    return not (isinstance(training, StudentTrainingConfig) and training.reads_teacher)


def _halves(size: int) -> list[int]:
    """Half of the batch, half of that, and so on to a single row."""
    return [size >> i for i in range(1, size.bit_length())]


def _batch(training: TrainingConfig, size: int) -> dict[str, int]:
    if size == training.batch_size:
        return {}
    steps = -(-training.batch_size * training.gradient_accumulation // size)
    return {"batch_size": size, "gradient_accumulation": steps}


def _says(change: dict[str, Any]) -> str:
    """The change as a line of the config."""
    parts = []
    for name, value in change.items():
        shown = "{rank: 16}" if name == "lora" else str(value).lower()
        parts.append(f"{name}: {shown}")
    return " with ".join(parts)
