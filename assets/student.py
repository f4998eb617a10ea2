"""The student: the pinned model before distillation, and the one trained on the teacher's answers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from distill_dagster.assets.stage_asset import Overrides, stage_asset
from distill_dagster.assets.views.student import student_view
from distill_dagster.assets.views.teacher import model_view
from distill_dagster.config import StudentTrainingConfig
from distill_dagster.lineage.guards import require_trainable
from distill_dagster.lineage.rounds import logits_of, rollouts_of, rounds_in, student_of
from distill_dagster.lineage.student import student_ref
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.models.fitness import student_use
from distill_dagster.models.ref import read_ref
from distill_dagster.rollouts.specs import SampleResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest
from distill_dagster.training.record import RoundRecord
from distill_dagster.training.specs import BestTrial, FinishedRound, PrepareResult, PrepareSpec, TrainResult, TrainSpec
from distill_dagster.tuning.specs import SweepResult


class TrainingOverrides(dg.Config):
    """Training settings for this run only. A field that is left empty keeps the value of distill.yaml."""

    learning_rate: float | None = Field(default=None, description="peak learning rate")
    epochs: float | None = Field(default=None, description="passes over the training rows")
    batch_size: int | None = Field(default=None, description="rows in one optimizer step on one device")
    gradient_accumulation: int | None = Field(default=None, description="batches summed into one optimizer step")
    warmup_share: float | None = Field(default=None, description="share of the steps over which the rate rises")
    weight_decay: float | None = Field(default=None, description="AdamW's decoupled weight decay")
    max_length: int | None = Field(default=None, description="longest row in tokens")
    early_stopping_patience: int | None = Field(default=None, description="validation losses without a better one")
    seed: int | None = Field(default=None, description="seed of the order of rows")
    lora: dict[str, Any] | None = Field(default=None, description="rank, alpha, dropout and targets of adapters")
    weights: str | None = Field(default=None, description="precision of the weights: float32 or bfloat16")
    optimizer: str | None = Field(default=None, description="adamw, adamw_8bit or adafactor")
    gradient_checkpointing: bool | None = Field(default=None, description="less memory, a third more arithmetic")


TRAINING = Overrides(TrainingOverrides, ("student", "training"))


@stage_asset(view=model_view, kinds={"huggingface", "pytorch"})
def student_base(upstream: Upstream, out: Path, work: Path) -> PrepareSpec:
    """The student before distillation: the weights that training starts from and the baseline is measured on."""
    model, init = upstream.config.student.model, upstream.config.student.init
    if model is None:
        return PrepareSpec(
            role="student",
            init=init,
            cut_from=read_ref(upstream.artefact("teacher_model").folder),
            use=student_use(upstream.config),
            rows=upstream.files("raw_dataset", files.RAW_FILE) if init and init.measures else [],
            out=str(out),
            work=str(work),
        )
    from_teacher = bool(model.architecture) and model.tokenizer == "teacher"
    return PrepareSpec(
        role="student",
        model=model,
        use=student_use(upstream.config),
        rows=upstream.files("raw_dataset", files.RAW_FILE) if model.architecture and not from_teacher else [],
        tokenizer_of=read_ref(upstream.artefact("teacher_model").folder).path if from_teacher else None,
        out=str(out),
        work=str(work),
    )


@stage_asset(
    view=student_view,
    kinds={"pytorch", "huggingface"},
    guard=require_trainable,
    overrides=replace(TRAINING, apply=lambda config: rounds_in(config) is None and config.student.sweep is None),
)
def student_checkpoint(upstream: Upstream, out: Path, work: Path) -> TrainSpec:
    """The distilled student: safetensors, tokenizer, generation config, model card, as `from_pretrained` reads them."""
    best = best_trial(upstream)
    training = best.training if best else upstream.config.student.training
    spec = train_spec(upstream, training, upstream.artefact("student_base"), out, work)
    return spec.model_copy(update={"finished": finished_rounds(upstream), "best_trial": best})


def train_spec(upstream: Upstream, training: StudentTrainingConfig, base: Manifest, out: Path, work: Path) -> TrainSpec:
    """What every training of the student takes; it starts from the weights of `base`."""
    config, teacher = upstream.config, upstream.provenance("teacher_model")
    return TrainSpec(
        student_base=student_ref(base.folder, config),
        cut=upstream.provenance("student_base").read(PrepareResult).cut,
        teacher=read_ref(teacher.folder if upstream.reads("teacher_model") else teacher.described),
        training=training,
        examples=upstream.file("validated_synthetic_set", files.EXAMPLES_FILE),
        logits=upstream.files("teacher_logits", files.LOGITS_FILE) if upstream.reads("teacher_logits") else [],
        name=config.name,
        task=config.task,
        out=str(out),
        work=str(work),
        tensorboard=str(upstream.project.curves(upstream.stage.name, work.name)),
    )


def best_trial(upstream: Upstream) -> BestTrial | None:
    """The best trial of the sweep; None if there is no sweep."""
    if not upstream.reads("student_sweep"):
        return None
    sweep = upstream.artefact("student_sweep")
    found = sweep.read(SweepResult)
    return BestTrial(
        number=found.best, of=found.counts.trials, point=found.point, result=found.student, folder=str(sweep.folder)
    )


def finished_rounds(upstream: Upstream) -> list[FinishedRound]:
    """The rounds that an on-policy student went through; none for other signals."""
    last = rounds_in(upstream.config)
    return [_finished(upstream, number) for number in range(last + 1)] if last is not None else []


def _finished(upstream: Upstream, number: int) -> FinishedRound:
    student = upstream.provenance(student_of(number))
    result, made_by, sampled = student.read(TrainResult), [student], {}
    if number:
        rollouts, logits = upstream.provenance(rollouts_of(number)), upstream.provenance(logits_of(number))
        counts, made_by = rollouts.read(SampleResult).counts, [student, rollouts, logits]
        sampled = counts.model_dump(include={"rollouts", "stop", "length", "repetition"})
    usages = [manifest.facts.get("usage") or {} for manifest in made_by]
    seconds = {name: sum(usage.get(name, 0.0) for usage in usages) for name in ("seconds", "gpu_seconds")}
    record = RoundRecord(
        round=number,
        **sampled,
        train_rows=result.counts.train_rows,
        rollout_rows=student.counts.get("rollout_rows", 0),
        steps=result.steps,
        best_validation_loss=result.best_validation_loss,
        **seconds,
    )
    return FinishedRound(record=record, result=result, folder=str(student.folder))
