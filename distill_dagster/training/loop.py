"""One training loop for the teacher's fit and for the student, on one device or several, resumable at every checkpoint.

AdamW, linear warm-up, cosine decay, clipping; by default float32 weights, bfloat16 arithmetic on a GPU. Each
validation loss comes with a checkpoint, from which a killed run goes on: weights, optimizer, schedule, random state and
order of rows are as it left them. On the same CPU and versions the result is bit for bit that of an unbroken run.

Where several ranks run this, each on its device, they take the steps of one process (parallel.py), and only the first
returns.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel
from transformers import EarlyStoppingCallback, PreTrainedModel, PrinterCallback, TrainerCallback

from distill_dagster.config import TrainingConfig
from distill_dagster.config.models import MEMORY_ONLY
from distill_dagster.models.loading import forget
from distill_dagster.models.quiet import quietly
from distill_dagster.models.row_limits import RowLimits
from distill_dagster.progress import Advance, track
from distill_dagster.ranks import group
from distill_dagster.store import hashing
from distill_dagster.training.adapter import load_beside, plain, trainable_count
from distill_dagster.training.batches import LengthBatches, StepPlan
from distill_dagster.training.checkpoints import run_and_latest, step_of
from distill_dagster.training.early_stop import early_stop
from distill_dagster.training.examples import TOKENS, TrainingSet
from distill_dagster.training.history import history_of
from distill_dagster.training.optimizers import checkpointing_arguments, optimizer_arguments, rounding_optimizer
from distill_dagster.training.parallel import FSDP, is_sharded, whole_afterwards
from distill_dagster.training.record import TrainingRun, ValidationLoss
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.protocol import Signal
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.stopping import StopRequest, deferred
from distill_dagster.training.trainer import OneDeviceArguments, SignalTrainer, Watch


def train(
    model: PreTrainedModel | PeftModel,
    tokenizer: Any,
    data: TrainingSet,
    config: TrainingConfig,
    signal: Signal,
    *,
    device: str,
    work: Path,
    start_revision: str,
    label: str,
    callbacks: Sequence[TrainerCallback] = (),
) -> TrainingRun:
    """Train `model` in place; afterwards it holds the kept weights (see `TrainingConfig.keep`).

    Of a model with adapters (`adapter.attach`) only these train, and only these are in its checkpoints.
    `start_revision` identifies the weights that training starts from: a run with other weights, data, config or
    signal does not resume from this one's checkpoints. The validation loss is that of the text, for every signal.
    `callbacks` only watch the training or stop it; all ranks have them.

    Raises:
        DivergedError: the loss is no longer finite.
        RankEnded: in a rank other than the first, when the training has ended.
    """
    forget()
    switch = RowLimits.of(model.config).switch
    share = (group.number(), group.count())
    batches = LengthBatches(data.train["length"], config.batch_size, config.seed, switch, share)
    plan = StepPlan.of(config, len(batches))
    sharded = is_sharded(config, model, device)
    folder, resume = run_and_latest(work, _fingerprint(config, data, signal, start_revision, sharded))
    resumed_from = step_of(resume) if resume else 0
    tracked = track(label, total=plan.steps, done=resumed_from)
    with (
        quietly(),
        tracked as advance,
        _chosen(device) as chosen,
        whole_afterwards(model, sharded),
        computing_loss(plain(model)),
        signal.attached(model),
        deferred() as asked,
    ):
        arguments = _arguments(config, data, plan, chosen, folder, sharded)
        trainer = _trainer(model, tokenizer, data, config, signal, plan, batches, arguments, advance, asked)
        for callback in callbacks:
            trainer.add_callback(callback)
        if resume:
            load_beside(model, resume)
        start = time.perf_counter()
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        run = _record(trainer, config, device, plan, resumed_from)
        if stopped := run.stopped:
            advance(0, lambda: stopped.words)
    group.leave_to_first()
    seconds = time.perf_counter() - start
    tokens = data.train_tokens * (run.steps - resumed_from) / plan.steps_per_epoch
    return run.model_copy(update={"tokens_per_second": tokens / seconds, "seconds": seconds})


def _record(
    trainer: SignalTrainer, config: TrainingConfig, device: str, plan: StepPlan, resumed_from: int
) -> TrainingRun:
    """What a finished training did, without its speed."""
    history, keeps_best = history_of(trainer.state.log_history), trainer.args.load_best_model_at_end
    return TrainingRun(
        device=device,
        dtype=_precision(config, device),
        steps=trainer.state.global_step,
        history=history,
        best_validation_loss=min((p.validation_loss for p in history if isinstance(p, ValidationLoss)), default=None),
        kept="best" if keeps_best else "last",
        resumed_from_step=resumed_from,
        stopped=early_stop(history, plan.steps, config.early_stopping_patience, keeps_best),
        training=config.model_dump(mode="json"),
        trainable_parameters=trainable_count(trainer.model),
    )


def _fingerprint(config: TrainingConfig, data: TrainingSet, signal: Signal, start_revision: str, sharded: bool) -> str:
    """Hash of everything that decides the weights or how a checkpoint is stored, except the machine."""
    splits: list[Any] = [
        data.train.select_columns([*TOKENS, *signal.columns]),
        data.validation.select_columns(list(TOKENS)),
    ]
    rows = [hashing.rows_hash(split) for split in splits]
    versions = [torch.__version__, transformers.__version__]
    parts = [config.model_dump(exclude=set(MEMORY_ONLY)), signal.name, rows, start_revision, versions]
    parts += ["sharded"] if sharded else []
    return hashing.sha256(hashing.canonical_json(parts))


def _precision(config: TrainingConfig, device: str) -> str:
    """The precision of weights and arithmetic, in words."""
    if config.weights == "bfloat16":
        return "bfloat16 weights" + (", float32 adapters" if config.lora else ", rounded stochastically")
    return "float32 weights, bfloat16 arithmetic" if torch.device(device).type == "cuda" else "float32"


@contextlib.contextmanager
def _chosen(device: str) -> Iterator[torch.device]:
    """The device with its index, such as `cuda:0` for `cuda`; inside the block it is the current one."""
    chosen = torch.device(device)
    if chosen.type != "cuda":
        yield chosen
        return
    if chosen.index is None:
        chosen = torch.device("cuda", torch.cuda.current_device())
    with torch.cuda.device(chosen):
        yield chosen


def _arguments(
    config: TrainingConfig, data: TrainingSet, plan: StepPlan, chosen: torch.device, folder: Path, sharded: bool
) -> OneDeviceArguments:
    """What the Trainer needs to know; without validation rows it saves checkpoints and compares none."""
    validates = len(data.validation) > 0
    return OneDeviceArguments(
        chosen,
        output_dir=str(folder),
        per_device_train_batch_size=-(-config.batch_size // group.count()),
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
        eval_strategy="steps" if validates else "no",
        eval_steps=plan.evaluate_every,
        save_strategy="steps",
        save_steps=plan.evaluate_every,
        save_total_limit=3,  # the best one, the last one, and the one before while the last is being written
        load_best_model_at_end=validates and config.keep == "best",
        metric_for_best_model="eval_loss" if validates else None,
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,
        seed=config.seed,
        bf16=chosen.type == "cuda" and not (sharded and config.weights == "bfloat16"),  # FSDP2 would make them float32
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        **optimizer_arguments(config),
        **checkpointing_arguments(config),
        **(FSDP if sharded else {}),
    )


def _trainer(
    model: PreTrainedModel | PeftModel,
    tokenizer: Any,
    data: TrainingSet,
    config: TrainingConfig,
    signal: Signal,
    plan: StepPlan,
    batches: LengthBatches,
    arguments: OneDeviceArguments,
    advance: Advance,
    asked: StopRequest,
) -> SignalTrainer:
    """The Trainer with its callbacks; it prints nothing."""
    callbacks: list[TrainerCallback] = []
    if len(data.validation) and config.early_stopping_patience is not None:
        callbacks.append(EarlyStoppingCallback(config.early_stopping_patience))
    trainer = SignalTrainer(
        model=model,
        args=arguments,
        data=data,
        signal=signal,
        measure=TextSignal(tokenizer.pad_token_id),
        batches=batches,
        asked=asked,
        callbacks=callbacks,
        optimizer_cls_and_kwargs=rounding_optimizer(config),
    )
    trainer.add_callback(Watch(trainer, plan, advance))
    trainer.remove_callback(PrinterCallback)
    return trainer
