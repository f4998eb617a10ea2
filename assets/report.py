"""The comparison of the models, with all that made them and what it cost."""

from pathlib import Path
from typing import Any

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.evaluation import report_view
from distill_dagster.config import ROLES, LoraConfig
from distill_dagster.config.sweep import in_words
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.lineage.commit import commit_of
from distill_dagster.lineage.copied import copied_of
from distill_dagster.lineage.gold_student import BENCHMARK, CHECKPOINT
from distill_dagster.lineage.guards import require_related
from distill_dagster.lineage.releases import released_scores
from distill_dagster.lineage.stages import MODELS
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.models.ref import read_ref
from distill_dagster.quality.specs import SetResult
from distill_dagster.report.costs import Costs, spent_on
from distill_dagster.report.funnel import Funnel
from distill_dagster.report.hyperparameters import hyperparameters
from distill_dagster.report.provenance import named, package_version
from distill_dagster.report.specs import DataCost, EarlierReport, GoldStudentFiles, Provenance, ReportSpec
from distill_dagster.sources.specs import ReadResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest
from distill_dagster.teachers.faculty import read_faculty
from distill_dagster.training.specs import TrainResult

MADE_FROM = ("teacher_model", "validated_synthetic_set", "student_base", "student_checkpoint", "eval_dataset")


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
        funnel=_funnel(upstream),
        costs=Costs.of(upstream.ancestry()),
        hyperparameters=hyperparameters(upstream.artefact("student_checkpoint").read(TrainResult)),
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


def _answers(upstream: Upstream) -> list[GenerateResult]:
    """What is known of each shard's answers."""
    return [manifest.read(GenerateResult) for manifest in upstream.provenances("teacher_outputs")]


def _funnel(upstream: Upstream) -> Funnel:
    """What became of the source rows."""
    return Funnel.of(
        [manifest.read(ReadResult).counts for manifest in upstream.provenances("raw_dataset")],
        [result.counts for result in _answers(upstream)],
        upstream.provenance("validated_synthetic_set").read(SetResult).counts,
    )


def _data_cost(upstream: Upstream) -> DataCost:
    """What the answers and the judge of `best_of` cost in money and time, and how many rows they gave to train on."""
    costs = Costs(spent=spent_on(upstream.provenances("teacher_outputs")), times=[])
    return DataCost(
        usd=costs.usd,
        spent=costs.spent,
        seconds=sum(result.seconds for result in _answers(upstream)),
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
        lineage[asset] = _origin(upstream.provenance(asset))
    lineage["teachers"] = _teachers(upstream.provenance("teacher_model"))
    return Provenance.model_validate(
        {**lineage, "commit": commit_of(upstream.config), "package": package_version()},
    )


def _origin(manifest: Manifest) -> dict[str, Any]:
    """What the report says of an artefact: its version, its counts, its model and how that was trained."""
    about = {"data_version": manifest.data_version[:16], "created_at": manifest.created_at, **manifest.counts}
    if manifest.launchpad:
        about["launchpad"] = manifest.launchpad
    if manifest.asset in MODELS.values():
        about |= {"model": (ref := read_ref(manifest.described)).name, "revision": ref.revision}
    if manifest.asset in ("student_checkpoint", CHECKPOINT):
        about |= _training_of(manifest.read(TrainResult))
    return about


def _teachers(manifest: Manifest) -> str | None:
    """Who answered, if several did: in words."""
    faculty = read_faculty(manifest.described)
    refs = faculty.answering
    return " and ".join(dict.fromkeys(named(ref.name, ref.revision) for ref in refs)) if len(refs) > 1 else None


def _training_of(result: TrainResult) -> dict[str, Any]:
    """The loss, of adapters their settings and size, and why the training stopped early if it did."""
    about: dict[str, Any] = {"loss": result.training.get("loss", "CE")}
    if result.found:
        about["found"] = in_words(result.found)
    if lora := result.training.get("lora"):
        about |= {"lora": str(LoraConfig(**lora)), "trainable_parameters": result.trainable_parameters}
    return about | ({"stopped": result.stopped.words} if result.stopped else {})
