"""The teacher: resolved and pinned (fitted to gold answers if the config asks), then its answers, shard by shard."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.partitions import shard_list, shards
from distill_dagster.assets.publishing import explained, publish
from distill_dagster.assets.raw_dataset import eval_dataset, raw_dataset
from distill_dagster.assets.views.teacher import answers_view, model_view
from distill_dagster.config import TeacherConfig, TeacherSource
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.lineage.stages import Project
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.project import ProjectResource
from distill_dagster.store import files
from distill_dagster.store.manifest import Produced
from distill_dagster.teachers.faculty import current_faculty
from distill_dagster.training.specs import PrepareSpec


class GenerationOverrides(dg.Config):
    """For this run only: what to generate with instead of distill.yaml's values (empty: as there)."""

    temperature: float | None = Field(None, description="0 is greedy decoding")
    top_p: float | None = Field(None, description="nucleus sampling")
    max_new_tokens: int | None = Field(None, description="longest answer in tokens")


def raw_files(project: Project) -> list[str]:
    """Paths of all shards' canonical rows."""
    return [str(project.store.get("raw_dataset", key).file(files.RAW_FILE)) for key in sorted(project.sources())]


def _own_sources(config: TeacherConfig) -> list[tuple[float, TeacherSource]]:
    """The teachers that answer in place of a `model` of the project's own, with weights."""
    if config.endpoint:
        return [(1.0, TeacherSource(model=None, endpoint=config.endpoint))]
    return [(source.weight, source) for source in config.mix]


@dg.asset(
    deps=[shard_list, raw_dataset, eval_dataset],
    group_name="teacher",
    kinds={"huggingface", "pytorch"},
    pool="gpu_teacher",
    automation_condition=rerun_when_inputs_change(),
)
def teacher_model(
    context: dg.AssetExecutionContext, project: ProjectResource, fit_compute: Compute
) -> dg.MaterializeResult:
    """The teacher, pinned to a revision; fitted to the gold answers first where `teacher.fit` is given."""
    value, config = project.value, project.value.config.teacher

    def make(out: Path, work: Path) -> Produced:
        best_of = config.best_of
        request = PrepareSpec(
            role="teacher",
            model=config.model,
            sources=_own_sources(config),
            panel=best_of.teachers if best_of else [],
            judge=best_of.judge if best_of else None,
            student=value.config.student.model,
            fit=config.fit,
            rows=raw_files(value) if config.fit else [],
            held_out=str(value.store.get("eval_dataset").file(files.RAW_FILE)) if config.fit else None,
            out=str(out),
            work=str(work),
        )
        return fit_compute.run(context, "prepare_model", request, on_cpu=config.fit is None)

    return publish(context, value, make, model_view)


@dg.asset(
    partitions_def=shards,
    deps=[raw_dataset, teacher_model],
    group_name="teacher",
    kinds={"huggingface", "parquet"},
    pool="gpu_teacher",
    automation_condition=rerun_when_inputs_change(),
)
def teacher_outputs(
    context: dg.AssetExecutionContext,
    config: GenerationOverrides,
    project: ProjectResource,
    teacher_compute: Compute,
) -> dg.MaterializeResult:
    """The teacher's answers to one shard's prompts; the raw text is stored before anything parses it."""
    with explained():
        value = project.value.with_generation(config.model_dump(exclude_none=True))

    def make(out: Path, _: Path) -> Produced:
        teacher = value.config.teacher
        faculty = current_faculty(value.store.get("teacher_model").folder, teacher)
        request = GenerateSpec(
            faculty=faculty,
            generation=teacher.generation,
            prompting=teacher.prompting,
            summary_words=teacher.summary_words,
            choose=teacher.best_of.choose if teacher.best_of else None,
            smoke=teacher.smoke,
            stop_failed_share=teacher.stop_failed_share,
            budget_usd=teacher.budget_usd,
            responses=str(value.responses),
            journal=context.partition_key,
            rows=str(value.store.get("raw_dataset", context.partition_key).file(files.RAW_FILE)),
            labels=value.config.quality.labels,
            out=str(out),
        )
        before = value.store.find("teacher_outputs", context.partition_key)
        produced = teacher_compute.run(context, "generate_shard", request, on_cpu=not faculty.needs_device)
        length_before = before.facts.get("answer_length") if before else None
        counts, facts = produced.parts()
        facts = {**facts, "answer_length_before": length_before}
        return Produced(produced.data_version, counts, facts, produced.complete)

    return publish(context, value, make, answers_view)
