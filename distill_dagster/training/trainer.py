"""`transformers.Trainer` with the parts that are ours: a signal's loss, the order of rows, validation, checkpoints.

Each step's loss is divided by the weights of all its tokens, over accumulated batches and processes:

    batches of one step     [B1, B2]                             weights sum to 37 + 12
    gradient                (loss(B1) + loss(B2)) / 49           loss: the signal's sum over tokens

Only public methods and attributes of the Trainer are used.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from distill_dagster.errors import DivergedError
from distill_dagster.progress import Advance
from distill_dagster.training.batches import LengthBatches, StepPlan
from distill_dagster.training.checkpoints import mark
from distill_dagster.training.examples import TrainingSet
from distill_dagster.training.signals.protocol import Signal, TensorBatch
from distill_dagster.training.speed import StepSpeed, in_words

LOADERS = 2  # processes that collate batches for a GPU


class OneDeviceArguments(TrainingArguments):
    """Arguments of a training on one device. `TrainingArguments` would use every GPU that it sees, from cuda:0 on."""

    def __init__(self, chosen: torch.device, **arguments: Any) -> None:
        self.chosen = chosen
        super().__init__(**arguments, use_cpu=chosen.type == "cpu")

    @property
    def device(self) -> torch.device:
        """The chosen device, which also becomes the current one, because Accelerate puts the model there."""
        _ = super().device  # sets Accelerate up, and makes cuda:0 the current device
        if self.chosen.type == "cuda":
            torch.cuda.set_device(self.chosen)
        return self.chosen

    @property
    def n_gpu(self) -> int:
        """1 on a GPU, else 0."""
        return min(1, super().n_gpu)


@contextlib.contextmanager
def _own_use_cache(config: Any) -> Iterator[None]:
    """Keep the model's own `use_cache`. The Trainer would set it to False, and that would be saved with the model."""
    has, own = hasattr(config, "use_cache"), getattr(config, "use_cache", None)
    yield
    if has:
        config.use_cache = own
    elif hasattr(config, "use_cache"):
        del config.use_cache


class SignalTrainer(Trainer):
    """Trains on the loss of `signal` and validates with the loss of `measure`."""

    loss_is_scaled_for_ga = True  # `compute_loss` divides by the weights of the whole step

    def __init__(
        self, *, data: TrainingSet, signal: Signal, measure: Signal, batches: LengthBatches, **trainer: Any
    ) -> None:
        with _own_use_cache(trainer["model"].config):
            super().__init__(
                train_dataset=data.train, eval_dataset=data.validation if len(data.validation) else None, **trainer
            )
        self.model_accepts_loss_kwargs = True  # read by versions without `loss_is_scaled_for_ga`
        self.signal, self.measure, self.batches = signal, measure, batches
        self.speed = StepSpeed.of(trainer["model"], self.args.device, self.accelerator.num_processes)
        self.step_loss = torch.zeros(())  # of the present step, on the device: reading it waits for the device
        ordered = LengthBatches(data.validation["length"], batches.batch_size, seed=0, switch=batches.switch)
        self.validation_loader = self.loader(data.validation, ordered, measure)

    def loader(self, rows: Any, batches: LengthBatches, signal: Signal) -> DataLoader:
        """Batches of `rows` on the device; if there are several processes, each gets a share of them."""
        on_gpu = self.args.device.type == "cuda"  # where batches are made while the device computes
        plain = DataLoader(
            rows,
            batch_sampler=batches,
            collate_fn=signal.collate,  # pyright: ignore[reportArgumentType]
            num_workers=LOADERS if on_gpu else 0,
            pin_memory=on_gpu,
        )
        return self.accelerator.prepare(plain)

    def get_train_dataloader(self) -> DataLoader:
        """Batches of like length, in the order of (seed, epoch)."""
        return self.loader(self.train_dataset, self.batches, self.signal)

    def get_batch_samples(
        self, epoch_iterator: Iterator[TensorBatch], num_batches: int, device: torch.device
    ) -> tuple[list[TensorBatch], Any]:
        """The batches of one optimizer step, and the divisor of their loss: the mean weight of all processes."""
        self.speed.begin()
        batches = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        self.step_loss = torch.zeros(())
        sums = (sum(batch[name] for batch in batches) for name in ("weight", "tokens"))
        weight, tokens = self._over_processes(*sums)
        self.speed.add(int(tokens))
        return batches, weight / self.accelerator.num_processes  # because gradients are averaged over processes too

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """This batch's share of the step's weighted mean."""
        loss = self.signal.loss(model, inputs, num_items_in_batch)
        self.step_loss = loss.detach() + self.step_loss.to(loss.device)
        return loss

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: the estimate walks over all parameters at every step."""
        return 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log a training loss with the speed of the steps that it is the mean of."""
        super().log(logs | self.speed.taken() if "loss" in logs else logs, start_time)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The mean loss of the validation answers' tokens."""
        model: Any = self.model
        model.eval()
        total, weight = 0.0, 0.0
        with torch.no_grad(), self.compute_loss_context_manager():
            for batch in self.validation_loader:
                total += float(self.measure.loss(model, batch, 1.0))
                weight += batch["weight"]
        total, weight = self._over_processes(total, weight)
        metrics = {"eval_loss": total / weight}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _over_processes(self, *numbers: float) -> list[float]:
        """The sum of each number over all processes."""
        if self.accelerator.num_processes == 1:
            return list(numbers)
        own = torch.tensor(numbers, dtype=torch.float64, device=self.accelerator.device)
        return self.accelerator.reduce(own, reduction="sum").tolist()  # pyright: ignore[reportAttributeAccessIssue]


class Watch(TrainerCallback):
    """Sets the order of rows, reports progress, stops when the loss is not finite, and marks checkpoints."""

    def __init__(
        self, plan: StepPlan, batches: LengthBatches, advance: Advance, step_loss: Callable[[], float]
    ) -> None:
        self.plan, self.batches, self.advance, self.step_loss = plan, batches, advance, step_loss
        self.learning_rate, self.logged, self.validation_loss = 0.0, "", ""

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.batches.epoch = state.global_step // self.plan.steps_per_epoch

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.learning_rate = kwargs["optimizer"].param_groups[0]["lr"]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.advance(1, self._note)
        if control.should_save:
            control.should_log = True  # checks the loss first: no checkpoint follows a loss that is not finite

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if logs and "eval_loss" in logs:
            self.validation_loss = f", validation loss {logs['eval_loss']:.4g}"
        self.logged = in_words(logs or {}) or self.logged
        for name in ("loss", "eval_loss"):
            loss = (logs or {}).get(name, 0.0)
            if not math.isfinite(loss):
                raise DivergedError(
                    f"the {'validation ' if name == 'eval_loss' else ''}loss is {loss} at step "
                    f"{state.global_step} of {self.plan.steps}, with a peak learning rate of {args.learning_rate:g}: "
                    "training has diverged and nothing is published; lower `learning_rate`, or raise `warmup_share`"
                )

    def _note(self) -> str:
        loss, rate = self.step_loss(), self.learning_rate
        return f"loss {loss:.4g}, learning rate {rate:.2e}{self.logged}{self.validation_loss}"

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        mark(Path(args.output_dir) / f"checkpoint-{state.global_step}")
