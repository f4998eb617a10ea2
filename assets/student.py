"""The student: the model before distillation, pinned, and the one that was trained on the teacher's answers."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.dataset import validated_synthetic_set
from distill_dagster.assets.partitions import shard_list
from distill_dagster.assets.publishing import explained, publish
from distill_dagster.assets.raw_dataset import raw_dataset
from distill_dagster.assets.teacher import raw_files, teacher_model
from distill_dagster.assets.views.student import student_view
from distill_dagster.assets.views.teacher import model_view
from distill_dagster.lineage import makers as steps
from distill_dagster.models.ref import read_ref
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.project import ProjectResource
from distill_dagster.store import files
from distill_dagster.store.manifest import Produced
from distill_dagster.training.specs import PrepareSpec, TrainSpec


class TrainingOverrides(dg.Config):
    """For this run only: what to train with instead of distill.yaml's values (empty: as there)."""

    learning_rate: float | None = Field(None, description="peak learning rate")
    epochs: float | None = Field(None, description="passes over the training rows")
    batch_size: int | None = Field(None, description="rows in one optimizer step on one device")
    gradient_accumulation: int | None = Field(None, description="batches summed into one optimizer step")
    warmup_share: float | None = Field(None, description="share of the steps over which the rate rises")
    weight_decay: float | None = Field(None, description="AdamW's decoupled weight decay")
    max_length: int | None = Field(None, description="longest row in tokens")
    early_stopping_patience: int | None = Field(None, description="validation losses without a better one")
    seed: int | None = Field(None, description="seed of the order of rows")


@dg.asset(
    deps=[shard_list, raw_dataset, teacher_model],
    group_name="student",
    kinds={"huggingface", "pytorch"},
    automation_condition=rerun_when_inputs_change(),
)
def student_base(
    context: dg.AssetExecutionContext, project: ProjectResource, fit_compute: Compute
) -> dg.MaterializeResult:
    """The student before distillation: the weights that training starts from and the baseline is measured on."""
    value, model = project.value, project.value.config.student.model

    def make(out: Path, work: Path) -> Produced:
        from_teacher = bool(model.architecture) and model.tokenizer == "teacher"
        request = PrepareSpec(
            role="student",
            model=model,
            rows=raw_files(value) if model.architecture and not from_teacher else [],
            tokenizer_of=read_ref(value.store.get("teacher_model").folder).path if from_teacher else None,
            out=str(out),
            work=str(work),
        )
        return fit_compute.run(context, "prepare_model", request, on_cpu=True)

    return publish(context, value, make, model_view)


@dg.asset(
    deps=[validated_synthetic_set, student_base],
    group_name="student",
    kinds={"pytorch", "huggingface"},
    pool="gpu_student",
    automation_condition=rerun_when_inputs_change(),
)
def student_checkpoint(
    context: dg.AssetExecutionContext,
    config: TrainingOverrides,
    project: ProjectResource,
    student_compute: Compute,
) -> dg.MaterializeResult:
    """The distilled student: safetensors, tokenizer, generation config, model card, as `from_pretrained` reads them."""
    with explained():
        value = project.value.with_training(config.model_dump(exclude_none=True))
        synthetic_set = value.store.get("validated_synthetic_set")
        steps.require_rows(synthetic_set, value.config.checks)

    def make(out: Path, work: Path) -> Produced:
        request = TrainSpec(
            student_base=read_ref(value.store.get("student_base").folder),
            teacher=read_ref(value.store.get("teacher_model").folder),
            training=value.config.student.training,
            examples=str(synthetic_set.file(files.EXAMPLES_FILE)),
            name=value.config.name,
            task=value.config.task,
            out=str(out),
            work=str(work),
        )
        return student_compute.run(context, "train_student", request)

    return publish(context, value, make, student_view)
