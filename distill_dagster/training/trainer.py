"""`transformers.Trainer` with the parts that are ours: a signal's loss, the order of rows, validation, checkpoints.

Each step's loss is divided by the weights of all its tokens, over accumulated batches and ranks:

    batches of one step     [B1, B2]                             weights sum to 37 + 12
    gradient                (loss(B1) + loss(B2)) / 49           loss: the signal's sum over tokens

Only public methods and attributes of the Trainer are used.
"""

import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from distill_dagster.errors import DivergedError
from distill_dagster.progress import Advance
from distill_dagster.ranks import group
from distill_dagster.training.adapter import save_beside
from distill_dagster.training.batches import WEIGHTLESS, LengthBatches, RankRows, StepPlan
from distill_dagster.training.checkpoints import mark
from distill_dagster.training.examples import TrainingSet
from distill_dagster.training.parallel import shard_on_cpu, shard_policy
from distill_dagster.training.signals.protocol import Example, Signal, TensorBatch
from distill_dagster.training.speed import StepSpeed, in_words
from distill_dagster.training.stopping import Stopped, StopRequest

LOADERS = 2  # processes that collate batches for a GPU
log = logging.getLogger(__name__)


class OneDeviceArguments(TrainingArguments):
    """Arguments of a training on one device, or of a rank's part of it on the rank's own device.

    `TrainingArguments` would use every GPU that it sees, from cuda:0 on.
    """

    def __init__(self, chosen: torch.device, **arguments: Any) -> None:
        self.chosen = chosen
        super().__init__(**arguments, use_cpu=chosen.type == "cpu")
        if self.fsdp:
            self.fsdp_plugin_args: Any = {**(self.fsdp_plugin_args or {}), **shard_policy()}

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
        self,
        *,
        data: TrainingSet,
        signal: Signal,
        measure: Signal,
        batches: LengthBatches,
        asked: StopRequest | None = None,
        **trainer: Any,
    ) -> None:
        with _own_use_cache(trainer["model"].config):
            super().__init__(
                train_dataset=data.train, eval_dataset=data.validation if len(data.validation) else None, **trainer
            )
        torch.manual_seed(self.args.seed + group.number())  # each rank drops out other numbers; with 0 as it was
        self.model_accepts_loss_kwargs = True  # read by versions without `loss_is_scaled_for_ga`
        self.signal, self.measure, self.batches, self.asked = signal, measure, batches, asked or StopRequest()
        self._agreed = False  # whether the ranks stop after the present step
        self.speed = StepSpeed.of(trainer["model"], self.args.device, self.accelerator.num_processes)
        self.step_loss: Any = torch.zeros(())  # of the present step, on the device: reading it waits for the device
        how = {"switch": batches.switch, "share": batches.share}
        ordered = LengthBatches(data.validation["length"], batches.batch_size, seed=0, **how)
        self.validation_loader = self.loader(data.validation, ordered, measure)

    def create_accelerator_and_postprocess(self) -> None:
        """Also shard on a CPU, if the arguments say so."""
        super().create_accelerator_and_postprocess()
        if self.args.fsdp and not self.is_fsdp_enabled:
            shard_on_cpu(self.accelerator, self.args.fsdp_plugin_args or {})
            self.is_fsdp_enabled = True

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Make the folder on every rank first: the Trainer looks for it to know whether the best checkpoint exists.

        A sharded model's folder would come later, at another time on each rank, and the ranks would disagree.
        """
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        super().save_model(output_dir, _internal_call)
        if group.is_first():
            save_beside(self.model, folder)

    def loader(self, rows: Any, batches: LengthBatches, signal: Signal) -> DataLoader:
        """Batches of `rows` on the device. They are this rank's already: Accelerate would drop or repeat some."""
        on_gpu = self.args.device.type == "cuda"  # where batches are made while the device computes
        plain = DataLoader(
            RankRows(rows),  # pyright: ignore[reportArgumentType]
            batch_sampler=batches,
            collate_fn=partial(_collated, signal),
            num_workers=LOADERS if on_gpu else 0,
            pin_memory=on_gpu,
        )
        return prepare_data_loader(plain, self.accelerator.device, num_processes=1, process_index=0, put_on_device=True)

    def get_train_dataloader(self) -> DataLoader:
        """Batches of like length, in the order of (seed, epoch)."""
        return self.loader(self.train_dataset, self.batches, self.signal)

    def get_batch_samples(
        self, epoch_iterator: Iterator[TensorBatch], num_batches: int, device: torch.device
    ) -> tuple[list[TensorBatch], Any]:
        """The batches of one optimizer step, and the divisor of their loss: the mean weight of all ranks.

        Here the ranks also agree on whether the training is to stop, since all must stop after the same step.
        """
        self.speed.begin()
        batches = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        self.step_loss = torch.zeros(())
        sums = (float(sum(batch[name] for batch in batches)) for name in ("weight", "tokens"))
        weight, tokens, stop = self._over_ranks(*sums, float(self.asked.signal or 0))
        self._agreed = stop > 0
        self.speed.add(int(tokens))
        return batches, weight / self.accelerator.num_processes  # because gradients are averaged over ranks too

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """This batch's share of the step's weighted mean."""
        loss = self.signal.loss(model, inputs, num_items_in_batch if inputs["weight"] else math.inf)
        self.step_loss = loss.detach() + self.step_loss.to(loss.device)
        return loss

    @property
    def stops(self) -> bool:
        """Whether the training stops after the present step; one rank alone asks nobody."""
        return self._agreed or (self.accelerator.num_processes == 1 and self.asked.signal is not None)

    def end_step(self) -> None:
        """Make the loss that of all ranks; no rank waits for its device."""
        if self.accelerator.num_processes > 1:
            self.step_loss = self.accelerator.reduce(self.step_loss, reduction="mean")

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
                total += float(self.measure.loss(model, batch, 1.0 if batch["weight"] else math.inf))
                weight += batch["weight"]
        total, weight = self._over_ranks(total, weight)
        metrics = {"eval_loss": total / weight}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _over_ranks(self, *numbers: float) -> list[float]:
        """The sum of each number over all ranks."""
        if self.accelerator.num_processes == 1:
            return list(numbers)
        own = torch.tensor(numbers, dtype=torch.float64, device=self.accelerator.device)
        return self.accelerator.reduce(own, reduction="sum").tolist()  # pyright: ignore[reportAttributeAccessIssue]


def _collated(signal: Signal, rows: Sequence[Example]) -> TensorBatch:
    """A rank's part of a batch; one without weight only keeps the rank in step, and adds nothing."""
    batch = signal.collate(rows)
    if WEIGHTLESS in rows[0]:
        batch["weight"], batch["tokens"] = 0.0, 0
    return batch


class Watch(TrainerCallback):
    """Sets the order of rows, reports progress, stops when the loss is not finite, and marks checkpoints.

    It also stops, behind a checkpoint, when the process is asked to end.
    """

    def __init__(self, trainer: SignalTrainer, plan: StepPlan, advance: Advance) -> None:
        self.trainer, self.plan, self.advance = trainer, plan, advance
        self.learning_rate, self.logged, self.validation_loss = 0.0, "", ""

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.batches.epoch = state.global_step // self.plan.steps_per_epoch

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.learning_rate = kwargs["optimizer"].param_groups[0]["lr"]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.end_step()
        self.advance(1, self._note)
        control.should_save = control.should_save or self.trainer.stops
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
        loss, rate = float(self.trainer.step_loss), self.learning_rate
        return f"loss {loss:.4g}, learning rate {rate:.2e}{self.logged}{self.validation_loss}"

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        group.wait()  # until every rank has written its part
        if group.is_first():
            mark(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        if self.trainer.stops:
            if group.is_first():
                log.warning("asked to end: the checkpoint of step %d is written", state.global_step)
            group.wait()  # a rank that ends takes the others with it
            raise Stopped
