"""What saves memory in a training: other optimizers than the Trainer's own AdamW, and gradient checkpointing.

A bfloat16 number has 8 significant bits: the next one after 1 is 1.0078. A training step moves a weight by far less, so
rounding to the nearest would leave it where it is. `RoundingAdamW` rounds up or down at random, in proportion to the
distance, and the weights move as far as they should on average (Gupta et al. 2015, arXiv 1502.02551, section 3):

    1 + 0.0010    ->  1.0078 with a probability of 0.128, else 1
"""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim.adamw import adamw
from transformers import TrainingArguments

from distill_dagster.config import TrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.ranks import group as ranks

CHUNK = 2**24  # weights that are updated at a time, which bounds the float32 copies


def optimizer_arguments(config: TrainingConfig) -> dict[str, Any]:
    """The Trainer's arguments of one of its own optimizers; none for AdamW, its default.

    Raises:
        TrainingError: the package of the optimizer is not installed.
    """
    if config.optimizer == "adamw_8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError(
            "`optimizer: adamw_8bit` needs bitsandbytes, which is not installed: install "
            "`distill-dagster[bitsandbytes]`, or use `optimizer: adamw`"
        )
    return {} if config.optimizer == "adamw" else {"optim": config.optimizer}


def checkpointing_arguments(config: TrainingConfig) -> dict[str, Any]:
    """The Trainer's arguments of gradient checkpointing, which transformers 5.23 renames."""
    if not config.gradient_checkpointing:
        return {}
    name = "activation_checkpointing"
    name = name if name in TrainingArguments.__dataclass_fields__ else "gradient_checkpointing"
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}


def rounding_optimizer(config: TrainingConfig) -> tuple[type, dict[str, Any]] | None:
    """Class and arguments where weights in bfloat16 train; None: the Trainer makes its own optimizer."""
    if config.weights != "bfloat16" or config.lora is not None:
        return None
    return RoundingAdamW, {"lr": config.learning_rate, "seed": config.seed}


class RoundingAdamW(torch.optim.Optimizer):
    """torch's AdamW on bfloat16 weights: moments and arithmetic in float32, new weights rounded stochastically.

    The random bits come from the device's default generator, whose state is in every checkpoint. Ranks that each hold
    all weights must round alike, and their generators may differ, so there the bits follow from seed and step.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        seed: int = 0,
    ) -> None:
        self.seed = seed
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step on every weight that has a gradient."""
        assert closure is None, "the Trainer passes none"
        with self._drawing():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._update(weight, group)

    @contextlib.contextmanager
    def _drawing(self) -> Iterator[None]:
        """Inside the block random bits are those of the step, and, where weights are sharded, of the rank."""
        if ranks.count() == 1:
            yield
            return
        first = self.param_groups[0]["params"][0]
        step = int(self.state[first]["step"]) if self.state.get(first) else 0
        part = ranks.number() if hasattr(first, "to_local") else 0
        devices = [first.device] if first.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(hash((self.seed, step, part)))
            yield

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the moments in float32, which `Optimizer` would turn into the weights' dtype."""
        super().load_state_dict(state_dict)
        weights = [weight for group in self.param_groups for weight in group["params"]]
        for i, saved in state_dict["state"].items():
            own = self.state[weights[i]]
            own |= {name: saved[name].to(own[name].device) for name in ("mean", "square")}

    def _update(self, weight: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["mean"] = torch.zeros_like(weight, dtype=torch.float32)
            state["square"] = torch.zeros_like(weight, dtype=torch.float32)
        flat = [_local(tensor).reshape(-1) for tensor in (weight.detach(), weight.grad, state["mean"], state["square"])]
        for part, gradient, mean, square in zip(*(tensor.split(CHUNK) for tensor in flat), strict=True):
            _update_chunk(part, gradient, mean, square, state["step"].clone(), group)
        state["step"] += 1


def _update_chunk(
    weight: torch.Tensor,
    gradient: torch.Tensor,
    mean: torch.Tensor,
    square: torch.Tensor,
    step: torch.Tensor,
    group: dict[str, Any],
) -> None:
    """AdamW in float32 on a part of a weight; the part of the weight and of the moments are changed in place."""
    exact, (beta1, beta2) = weight.float(), group["betas"]
    adamw(
        *([exact], [gradient.float()], [mean], [square], [], [step]),
        foreach=False,
        amsgrad=False,
        beta1=beta1,
        beta2=beta2,
        lr=group["lr"],
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        maximize=False,
    )
    weight.copy_(round_stochastically(exact) if weight.dtype == torch.bfloat16 else exact)


def round_stochastically(values: torch.Tensor) -> torch.Tensor:
    """Float32 values, overwritten with values that bfloat16 has, whose mean over many draws is the value itself.

    bfloat16 is float32 without the lower 16 bits. A random number of 16 bits is added to them, and they are cut off.
    """
    bits = values.view(torch.int32)
    bits.add_(torch.randint_like(bits, 0, 1 << 16)).bitwise_and_(-(1 << 16))
    return values


def _local(tensor: Any) -> torch.Tensor:
    """This process's part of a sharded tensor."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
