"""The benchmarks of the models: teacher, student before and after distillation.

Each model has a benchmark of its own, so that only the student is scored again when only the student changed. Their
speed is measured together, at one time.
"""

from pathlib import Path

from distill_dagster.assets.stage_asset import StageAsset, stage_asset
from distill_dagster.assets.views.evaluation import benchmark_view
from distill_dagster.assets.views.speed import speed_view
from distill_dagster.config import ROLES, ExportFormat, MeasuredRole
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.evaluation.speed.hardware import machine_for
from distill_dagster.evaluation.speed.specs import SpeedSpec, TimedModel
from distill_dagster.lineage import settings
from distill_dagster.lineage.exports import export_of
from distill_dagster.lineage.stages import MODELS
from distill_dagster.lineage.student import student_ref
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.models.ref import ModelRef
from distill_dagster.release.export.formats import RUNS, TIMED_PROCESS, family
from distill_dagster.store import files
from distill_dagster.teachers.faculty import current_faculty


def benchmark_asset(role: MeasuredRole, who: str) -> StageAsset:
    """The asset of a benchmark; `who` names the model in its description."""

    def spec(upstream: Upstream, out: Path, work: Path) -> BenchmarkSpec:
        return benchmark_spec(upstream, role, out, upstream.labels())

    spec.__doc__ = f"{who} on the held-out rows: task scores with intervals, and size. Greedy decoding."
    return stage_asset(name=f"{role}_benchmark", view=benchmark_view, kinds={"pytorch", "parquet"})(spec)


def benchmark_spec(upstream: Upstream, role: MeasuredRole, out: Path, labels: list[str] | None) -> BenchmarkSpec:
    """How the model of a role is measured."""
    config = upstream.config
    return BenchmarkSpec(
        role=role,
        model=_measured(upstream, role),
        responses=str(upstream.project.responses),
        stop_failed_share=config.teacher.stop_failed_share,
        budget_usd=config.teacher.budget_usd,
        rows=upstream.file("eval_dataset", files.RAW_FILE),
        max_new_tokens=settings.answer_tokens(config),
        labels=labels,
        **(settings.asked_with(config) if role == "teacher" else {}),
        evaluation=config.evaluation,
        out=str(out),
    )


def _measured(upstream: Upstream, role: MeasuredRole) -> ModelRef:
    """The model of a role; of several teachers the first."""
    folder = upstream.artefact(MODELS[role]).folder
    if role == "teacher":
        return current_faculty(folder, upstream.config.teacher).teachers[0][1]
    return student_ref(folder, upstream.config)


teacher_benchmark = benchmark_asset("teacher", "The teacher")
baseline_benchmark = benchmark_asset("baseline", "The student before distillation")
student_benchmark = benchmark_asset("student", "The distilled student")


@stage_asset(view=speed_view, kinds={"pytorch"})
def speed_benchmark(upstream: Upstream, out: Path, work: Path) -> SpeedSpec:
    """Latency, throughput, memory and cost of all models and exports, timed in turns. Made again on other hardware."""
    config = upstream.config
    return SpeedSpec(
        models=_timed(upstream),
        machine=machine_for(config.compute),
        responses=str(upstream.project.responses),
        stop_failed_share=config.teacher.stop_failed_share,
        budget_usd=config.teacher.budget_usd,
        rows=upstream.file("eval_dataset", files.RAW_FILE),
        max_new_tokens=settings.answer_tokens(config),
        labels=upstream.labels(),
        summary_words=config.teacher.summary_words,
        evaluation=config.evaluation,
        out=str(out),
    )


def _timed(upstream: Upstream) -> list[TimedModel]:
    """The models in their order in the report: the roles, then the student's exports."""
    refs = {role: _measured(upstream, role) for role in ROLES}
    roles = [
        TimedModel(
            name=role,
            model=ref,
            engine="endpoint" if ref.endpoint else "torch",
            prompting=upstream.config.teacher.prompting if role == "teacher" else "plain",
        )
        for role, ref in refs.items()
    ]
    return roles + [_export(upstream, form, refs["student"]) for form in upstream.config.export.formats]


def _export(upstream: Upstream, form: ExportFormat, student: ModelRef) -> TimedModel:
    """An export, under the name of its format, with the runtime that it is for."""
    artefact = upstream.artefact(export_of(form))
    folder = artefact.file(files.WEIGHTS_FOLDER)
    return TimedModel(
        name=form,
        model=student.model_copy(update={"path": str(folder), "revision": artefact.data_version}),
        engine=RUNS[family(form)],
        process=TIMED_PROCESS,
        max_length=upstream.config.export.max_length,
    )
