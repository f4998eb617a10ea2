"""The student: the pinned model before distillation, and the one trained on the teacher's answers."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from distill_dagster.assets.stage_asset import Overrides, stage_asset
from distill_dagster.assets.views.student import student_view
from distill_dagster.assets.views.teacher import model_view
from distill_dagster.lineage.guards import require_trainable
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.models.fitness import student_use
from distill_dagster.models.ref import read_ref
from distill_dagster.store import files
from distill_dagster.training.specs import PrepareResult, PrepareSpec, TrainSpec


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
    overrides=Overrides(TrainingOverrides, ("student", "training")),
)
def student_checkpoint(upstream: Upstream, out: Path, work: Path) -> TrainSpec:
    """The distilled student: safetensors, tokenizer, generation config, model card, as `from_pretrained` reads them."""
    config, from_logits = upstream.config, upstream.config.student.training.reads_logits
    return TrainSpec(
        student_base=read_ref(upstream.artefact("student_base").folder),
        cut=upstream.artefact("student_base").read(PrepareResult).cut,
        teacher=read_ref(upstream.provenance("teacher_model").folder),
        training=config.student.training,
        examples=upstream.file("validated_synthetic_set", files.EXAMPLES_FILE),
        logits=upstream.files("teacher_logits", files.LOGITS_FILE) if from_logits else [],
        name=config.name,
        task=config.task,
        out=str(out),
        work=str(work),
    )
