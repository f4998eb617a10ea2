"""Our parts of `transformers.Trainer`: the plan of a training, the order of rows, the loss, validation, and markers.

They are plain classes that are mixed into the Trainer's when it is loaded, so that importing this module costs nothing.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import TrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.training.batches import LengthBatches
from distill_dagster.training.checkpoints import mark
from distill_dagster.training.loss import weighted_loss

LOGGED_POINTS = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """How many optimizer steps a training has, and when it is looked at."""

    steps: int
    steps_per_epoch: int
    evaluate_every: int
    log_every: int

    @staticmethod
    def of(config: TrainingConfig, rows: int) -> "Plan":
        """The plan of `config` for so many training rows."""
        per_epoch = math.ceil(math.ceil(rows / config.batch_size) / config.gradient_accumulation)
        steps = max(1, math.ceil(config.epochs * per_epoch))
        return Plan(steps, per_epoch, max(1, math.ceil(steps / config.evaluations)), max(1, steps // LOGGED_POINTS))


class AnswerTraining:
    """What is ours in the Trainer, mixed into it when it is loaded: batches, loss, validation."""

    model: Any
    args: Any
    state: Any
    callback_handler: Any
    control: Any
    log: Callable[..., None]
    config: TrainingConfig
    loader: Any
    validation_loader: Any
    loss_is_scaled_for_ga = True  # `compute_loss` divides by the weights of the whole optimizer step

    def get_train_dataloader(self) -> Any:
        """Our length-grouped batches, in the order of (seed, epoch)."""
        return self.loader

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: Any
    ) -> tuple[list[Any], float]:
        """The batches of one optimizer step, and the sum of their loss weights, by which the loss is divided."""
        batches = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        return batches, sum(float(batch["weights"].sum()) for batch in batches)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """This batch's share of the step's weighted mean."""
        return weighted_loss(model, inputs, self.config.label_smoothing) / num_items_in_batch

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: the estimate walks over all parameters at every step."""
        return 0

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The mean loss of the validation answers' tokens, without label smoothing."""
        import torch

        self.model.eval()
        total, weight = 0.0, 0.0
        with torch.no_grad(), self.compute_loss_context_manager():  # type: ignore[attr-defined]
            for batch in self.validation_loader:
                total += float(weighted_loss(self.model, self._prepare_inputs(batch)))  # type: ignore[attr-defined]
                weight += float(batch["weights"].sum())
        metrics = {"eval_loss": total / weight}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class Watching:
    """What happens around a step, mixed into a TrainerCallback: order of rows, progress, finite losses, markers."""

    def __init__(self, plan: Plan, batches: LengthBatches, advance: Callable[[int], None]) -> None:
        self.plan, self.batches, self.advance = plan, batches, advance

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.batches.epoch = state.global_step // self.plan.steps_per_epoch

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.advance(1)
        if control.should_save:
            control.should_log = True  # so that no checkpoint is written behind a loss that nobody has seen

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        for name in ("loss", "eval_loss"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise TrainingError(
                    f"the {'validation ' if name == 'eval_loss' else ''}loss is {logs[name]} at step "
                    f"{state.global_step} of {self.plan.steps}, with a peak learning rate of {args.learning_rate:g}: "
                    "training has diverged and nothing is published; lower `learning_rate`, or raise `warmup_share`"
                )

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        mark(Path(args.output_dir) / f"checkpoint-{state.global_step}")
