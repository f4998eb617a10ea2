"""The teacher: pinned, and fitted to gold answers if the config asks for it; then its answers, shard by shard."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from distill_dagster.assets.stage_asset import Overrides, stage_asset
from distill_dagster.assets.views.teacher import answers_view, model_view
from distill_dagster.config import TeacherConfig, TeacherSource
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.models.fitness import teacher_use
from distill_dagster.store import files
from distill_dagster.teachers.faculty import current_faculty
from distill_dagster.training.pairing import Pairing
from distill_dagster.training.specs import PrepareSpec


class GenerationOverrides(dg.Config):
    """Generation settings for this run only. A field that is left empty keeps the value of distill.yaml."""

    temperature: float | None = Field(default=None, description="0 is greedy decoding")
    top_p: float | None = Field(default=None, description="nucleus sampling")
    max_new_tokens: int | None = Field(default=None, description="longest answer in tokens")


@stage_asset(view=model_view, kinds={"huggingface", "pytorch"})
def teacher_model(upstream: Upstream, out: Path, work: Path) -> PrepareSpec:
    """The teacher, pinned to a revision; fitted to the gold answers first if `teacher.fit` is given."""
    teacher = upstream.config.teacher
    return PrepareSpec(
        role="teacher",
        model=teacher.model,
        sources=_own_sources(teacher),
        panel=teacher.best_of.teachers if teacher.best_of else [],
        judge=teacher.best_of.judge if teacher.best_of else None,
        metrics=upstream.config.evaluation.metrics,
        use=teacher_use(upstream.config),
        pairing=Pairing.of(upstream.config),
        fit=teacher.fit,
        rows=upstream.files("raw_dataset", files.RAW_FILE) if teacher.fit else [],
        held_out=upstream.file("eval_dataset", files.RAW_FILE) if teacher.fit else None,
        out=str(out),
        work=str(work),
        tensorboard=str(upstream.project.curves(upstream.stage.name, work.name)),
    )


def _own_sources(config: TeacherConfig) -> list[tuple[float, TeacherSource]]:
    """The teachers, with weights, of a project that has no `teacher.model`."""
    if config.endpoint:
        return [(1.0, TeacherSource(model=None, endpoint=config.endpoint))]
    return [(source.weight, source) for source in config.mix]


@stage_asset(
    view=answers_view,
    kinds={"huggingface", "parquet"},
    overrides=Overrides(GenerationOverrides, ("teacher", "generation")),
)
def teacher_outputs(upstream: Upstream, out: Path, work: Path) -> GenerateSpec:
    """The teacher's answers to one shard's prompts; the raw text is stored before anything parses it."""
    teacher = upstream.config.teacher
    assert upstream.shard is not None, "teacher_outputs has shards"
    return GenerateSpec(
        faculty=current_faculty(upstream.artefact("teacher_model").folder, teacher),
        generation=teacher.generation,
        prompting=teacher.prompting,
        summary_words=teacher.summary_words,
        choose=teacher.best_of.choose if teacher.best_of else None,
        smoke=teacher.smoke,
        stop_failed_share=teacher.stop_failed_share,
        budget_usd=teacher.budget_usd,
        responses=str(upstream.project.responses),
        journal=upstream.shard,
        rows=upstream.file("raw_dataset", files.RAW_FILE),
        labels=upstream.config.quality.labels,
        out=str(out),
    )
