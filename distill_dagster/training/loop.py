"""One trainer for the teacher's fit and for the student: `transformers.Trainer` with our loss, batches and checkpoints.

AdamW, linear warm-up, cosine decay, clipping; float32 weights, bfloat16 arithmetic on a GPU. Each validation loss
comes with a checkpoint, from which a killed run goes on: weights, optimizer, schedule, random state and the order
of rows are the ones that it left. On the same CPU and versions the result is bit for bit that of an unbroken run.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import TrainingConfig
from distill_dagster.models.loading import forget
from distill_dagster.models.quiet import quietly
from distill_dagster.progress import track
from distill_dagster.store import hashing
from distill_dagster.training.batches import LengthBatches, collate
from distill_dagster.training.checkpoints import latest, run_folder, step_of
from distill_dagster.training.examples import TrainingSet
from distill_dagster.training.trainer import AnswerTraining, Plan, Watching


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training did. `history` is a list of {step, loss | validation_loss, learning_rate}."""

    steps: int
    history: list[dict[str, float]]
    best_validation_loss: float | None
    kept: str  # best | last
    resumed_from_step: int
    tokens_per_second: float
    seconds: float


def train(
    model: Any,
    tokenizer: Any,
    data: TrainingSet,
    config: TrainingConfig,
    *,
    device: str,
    work: Path,
    base: str,
    label: str,
) -> Outcome:
    """Train `model` in place; afterwards it holds the kept weights (see `TrainingConfig.keep`).

    `base` says what the weights were before (a revision): a run with another base, data or config starts afresh.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    forget()
    plan = Plan.of(config, len(data.train))
    folder = run_folder(work, _fingerprint(config, data, base))
    with quietly(), track(label, total=plan.steps) as advance, _one_device(device):
        trainer = _trainer(model, tokenizer, data, config, plan, device, folder, advance)
        resume = latest(folder)
        resumed_from = step_of(resume) if resume else 0
        advance(resumed_from)
        start = time.perf_counter()
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    seconds = time.perf_counter() - start
    steps = trainer.state.global_step
    tokens = data.train_tokens * (steps - resumed_from) / plan.steps_per_epoch
    return Outcome(
        steps=steps,
        history=_history(trainer.state.log_history),
        best_validation_loss=min((h["eval_loss"] for h in trainer.state.log_history if "eval_loss" in h), default=None),
        kept="best" if trainer.args.load_best_model_at_end else "last",
        resumed_from_step=resumed_from,
        tokens_per_second=tokens / seconds,
        seconds=seconds,
    )


def _fingerprint(config: TrainingConfig, data: TrainingSet, base: str) -> str:
    """Of everything that the weights depend on but the machine."""
    import torch
    import transformers

    rows = [hashing.rows_hash(split) for split in (data.train, data.validation)]
    versions = [torch.__version__, transformers.__version__]
    return hashing.sha256(hashing.canonical_json([config.model_dump(), rows, base, versions]))


@contextlib.contextmanager
def _one_device(device: str) -> Iterator[None]:
    """Make `cuda:1` the current device inside the block, which is where Accelerate puts a model."""
    import torch

    if not device.startswith("cuda"):
        yield
        return
    with torch.cuda.device(_indexed(device)):
        yield


def _indexed(device: str) -> Any:
    """`cuda` as the device that it stands for, such as `cuda:0`."""
    import torch

    index = torch.device(device).index
    return torch.device("cuda", torch.cuda.current_device() if index is None else index)


def _arguments(config: TrainingConfig, plan: Plan, device: str, folder: Path, validates: bool) -> Any:
    import torch
    from transformers import TrainingArguments

    on_gpu = device.startswith("cuda")
    current = torch.cuda.current_device() if on_gpu else 0  # `_one_device` has set it
    when = "steps" if validates else "no"
    args = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        max_steps=plan.steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(plan.steps * config.warmup_share),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        logging_strategy="steps",
        logging_steps=plan.log_every,
        logging_nan_inf_filter=False,
        eval_strategy=when,
        eval_steps=plan.evaluate_every,
        save_strategy="steps",
        save_steps=plan.evaluate_every,
        save_total_limit=3,  # the best one, the last one, and the one before while the last is being written
        load_best_model_at_end=validates and config.keep == "best",
        metric_for_best_model="eval_loss" if validates else None,
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,
        seed=config.seed,
        bf16=on_gpu,
        use_cpu=not on_gpu,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )
    if on_gpu:  # without this the Trainer takes cuda:0, and spreads over every device that it sees
        args._n_gpu = 1
        args.__dict__["_setup_devices"] = device_now = torch.device("cuda", current)  # a functools.cached_property
        torch.cuda.set_device(device_now)  # back to it: reading the arguments has made cuda:0 the current one
    return args


def _trainer(
    model: Any,
    tokenizer: Any,
    data: TrainingSet,
    config: TrainingConfig,
    plan: Plan,
    device: str,
    folder: Path,
    advance: Any,
) -> Any:
    """The Trainer with our parts in it, silent."""
    from functools import partial

    from torch.utils.data import DataLoader
    from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback

    together = partial(collate, pad=tokenizer.pad_token_id, prompt_weight=config.prompt_loss_weight)
    answers_only = partial(collate, pad=tokenizer.pad_token_id, prompt_weight=0.0)
    batches = LengthBatches(data.train["length"], config.batch_size, config.seed)
    validates = len(data.validation) > 0
    trainer: Any = type("AnswerTrainer", (AnswerTraining, Trainer), {})(
        model=model,
        args=_arguments(config, plan, device, folder, validates),
        train_dataset=data.train,
        eval_dataset=data.validation if validates else None,
    )
    trainer.config = config
    trainer.model_accepts_loss_kwargs = True
    trainer.loader = DataLoader(data.train, batch_sampler=batches, collate_fn=together)  # pyright: ignore[reportArgumentType]
    ordered = LengthBatches(data.validation["length"], config.batch_size, seed=0)
    trainer.validation_loader = DataLoader(data.validation, batch_sampler=ordered, collate_fn=answers_only)  # pyright: ignore[reportArgumentType]
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(type("Watch", (Watching, TrainerCallback), {})(plan, batches, advance))
    if validates and config.early_stopping_patience is not None:
        trainer.add_callback(EarlyStoppingCallback(config.early_stopping_patience))
    return trainer


def _history(log: list[dict[str, float]]) -> list[dict[str, float]]:
    """The Trainer's log in our words."""
    rate, history = 0.0, []
    for entry in log:
        rate = entry.get("learning_rate", rate)
        if "loss" in entry:
            history.append({"step": entry["step"], "loss": entry["loss"], "learning_rate": rate})
        elif "eval_loss" in entry:
            history.append({"step": entry["step"], "validation_loss": entry["eval_loss"], "learning_rate": rate})
    return history
