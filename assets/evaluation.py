"""The benchmarks of the models (teacher, student before and after distillation) and their comparison.

Each model has a benchmark of its own, so that only the student is scored again when only the student changed. Their
speed is measured together, at one time.
"""

from pathlib import Path
from typing import Any

from distill_dagster.assets.stage_asset import StageAsset, stage_asset
from distill_dagster.assets.views.evaluation import benchmark_view, report_view
from distill_dagster.assets.views.speed import speed_view
from distill_dagster.config import ROLES, ExportFormat, LoraConfig, MeasuredRole
from distill_dagster.config.sweep import in_words
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.evaluation.speed.hardware import machine_for
from distill_dagster.evaluation.speed.specs import SpeedSpec, TimedModel
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.lineage import settings
from distill_dagster.lineage.copied import copied_of
from distill_dagster.lineage.exports import export_of
from distill_dagster.lineage.gold_student import BENCHMARK, CHECKPOINT
from distill_dagster.lineage.guards import require_related
from distill_dagster.lineage.releases import released_scores
from distill_dagster.lineage.stages import MODELS
from distill_dagster.lineage.student import student_ref
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.models.ref import ModelRef, read_ref
from distill_dagster.quality.specs import SetResult
from distill_dagster.release.export.formats import RUNS, TIMED_PROCESS, family
from distill_dagster.report.specs import DataCost, EarlierReport, GoldStudentFiles, Provenance, ReportSpec
from distill_dagster.store import files
from distill_dagster.teachers.faculty import current_faculty
from distill_dagster.training.specs import TrainResult

MADE_FROM = ("teacher_model", "validated_synthetic_set", "student_base", "student_checkpoint", "eval_dataset")


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


@stage_asset(view=report_view, kinds={"html"})
def eval_report(upstream: Upstream, out: Path, work: Path) -> ReportSpec:
    """Teacher, baseline and distilled student side by side: retention, gap recovered, intervals and a verdict."""
    require_related(upstream)
    replaced = upstream.replaced()
    return ReportSpec(
        project=upstream.config.name,
        benchmarks={role: str(upstream.artefact(f"{role}_benchmark").folder) for role in ROLES},
        speed=upstream.file("speed_benchmark", files.SPEED_FILE),
        shipped=upstream.config.export.shipped,
        data_cost=_data_cost(upstream),
        history=upstream.file("student_checkpoint", files.HISTORY_FILE),
        trials=upstream.file("student_sweep", files.TRIALS_FILE) if upstream.reads("student_sweep") else None,
        rows=upstream.file("eval_dataset", files.RAW_FILE),
        judgement=upstream.file("answer_judgement", files.JUDGEMENT_FILE)
        if upstream.reads("answer_judgement")
        else None,
        gold_student=_gold_student(upstream) if upstream.reads(BENCHMARK) else None,
        copied=copied_of(upstream.look),
        evaluation=upstream.config.evaluation,
        provenance=_made_from(upstream),
        earlier=EarlierReport(folder=str(replaced.folder), created_at=replaced.created_at) if replaced else None,
        released=released_scores(upstream.look, upstream.artefact("student_benchmark")),
        out=str(out),
    )


def _data_cost(upstream: Upstream) -> DataCost:
    """What the teacher's answers cost in money and time, and how many rows they gave to train on."""
    answers = [manifest.read(GenerateResult) for manifest in upstream.provenances("teacher_outputs")]
    return DataCost(
        usd=sum(result.table_cost_usd for result in answers) if upstream.config.teacher.sources else None,
        seconds=sum(result.seconds for result in answers),
        rows=upstream.provenance("validated_synthetic_set").read(SetResult).counts.train,
    )


def _gold_student(upstream: Upstream) -> GoldStudentFiles:
    """The benchmark of the gold student, and how many rows it and the distilled student were trained on."""
    gold, student = (upstream.artefact(name).read(TrainResult) for name in (CHECKPOINT, "student_checkpoint"))
    return GoldStudentFiles(
        benchmark=str(upstream.artefact(BENCHMARK).folder),
        gold_rows=gold.counts.train_rows,
        student_rows=student.counts.train_rows,
    )


def _made_from(upstream: Upstream) -> Provenance:
    """The data and the models that the student was made from, for the report."""
    lineage: dict[str, Any] = {"name": upstream.config.name, "shards": len(upstream.look.shards)}
    gold = ("gold_set", CHECKPOINT) if upstream.reads(CHECKPOINT) else ()
    for asset in (*MADE_FROM, *gold):
        manifest = upstream.provenance(asset)
        about = {"data_version": manifest.data_version[:16], "created_at": manifest.created_at, **manifest.counts}
        if manifest.launchpad:
            about["launchpad"] = manifest.launchpad
        if asset in MODELS.values():
            about["model"] = read_ref(manifest.described).name
        if asset in ("student_checkpoint", CHECKPOINT):
            about |= _training_of(manifest.read(TrainResult))
        lineage[asset] = about
    return Provenance.model_validate(lineage)


def _training_of(result: TrainResult) -> dict[str, Any]:
    """The loss, of adapters their settings and size, and why the training stopped early if it did."""
    about: dict[str, Any] = {"loss": result.training.get("loss", "CE")}
    if result.found:
        about["found"] = in_words(result.found)
    if lora := result.training.get("lora"):
        about |= {"lora": str(LoraConfig(**lora)), "trainable_parameters": result.trainable_parameters}
    return about | ({"stopped": result.stopped.words} if result.stopped else {})
