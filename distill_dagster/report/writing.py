"""The worker that compares three benchmarks and writes the report.

report.json   the document, with the benchmarks in full
report.md     for a terminal, a pull request, Dagster's metadata
report.html   one file for a browser, light or dark, wide or narrow; it has no scripts and fetches nothing
"""

import json
from collections.abc import Collection, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from distill_dagster.config import ROLES, EvaluationConfig, MeasuredRole, Role
from distill_dagster.errors import DataError
from distill_dagster.evaluation.agreement import agreements
from distill_dagster.evaluation.chance import standings
from distill_dagster.evaluation.comparison import RatioEstimate, compare, mcnemar
from distill_dagster.evaluation.confusions import confusion_tables
from distill_dagster.evaluation.differences import differences_by_task
from distill_dagster.evaluation.earlier import items_of, write_items
from distill_dagster.evaluation.items import item_groups, item_scores
from distill_dagster.evaluation.judging.specs import JudgementTable, read_judgement
from distill_dagster.evaluation.slices import slices_of
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.evaluation.speed.specs import SpeedDocument
from distill_dagster.evaluation.verdict import decide
from distill_dagster.report.classes import class_tables
from distill_dagster.report.document import ReportDocument, StatedVerdict
from distill_dagster.report.earlier import Earlier, compare_with, read_earlier, read_released
from distill_dagster.report.examples import example_pairs
from distill_dagster.report.gap import with_shown_gap
from distill_dagster.report.gold_student import ONE_SEED, GoldStudentScores, compare_with_gold
from distill_dagster.report.lesson import lesson_rows
from distill_dagster.report.notes import launchpad_notes, notes_on, stop_notes
from distill_dagster.report.ratios import ratios_of
from distill_dagster.report.rendering import render_html, render_markdown
from distill_dagster.report.specs import DataCost, GoldStudentFiles, Provenance, ReportCounts, ReportResult, ReportSpec
from distill_dagster.report.wording import fall_text, headline, verdict_text, weak_teacher_text
from distill_dagster.store import files, hashing, parquet
from distill_dagster.tuning.specs import Trial
from distill_dagster.tuning.table import read_trials

Row = Mapping[str, Any]


def write_report(spec: ReportSpec, device: str = "cpu") -> ReportResult:
    """Read what `spec` names, and write report.json, report.md, report.html and the items into `spec.out`.

    Raises:
        DataError: a role is missing, or the three were not scored on the same items.
    """
    folders: dict[Role, Path] = {role: Path(folder) for role, folder in spec.benchmarks.items()}
    predictions: dict[Role, Sequence[Row]] = {
        role: parquet.read_table(folder / files.PREDICTIONS_FILE) for role, folder in folders.items()
    }
    earlier = read_earlier(spec.earlier, spec.provenance) if spec.earlier else None
    document = build_report(
        project=spec.project,
        benchmarks={role: _read_benchmark(folder / files.BENCHMARK_FILE) for role, folder in folders.items()},
        predictions=predictions,
        evaluation=spec.evaluation,
        provenance=spec.provenance,
        history=json.loads(Path(spec.history).read_text(encoding="utf-8")),
        rows=parquet.read_table(Path(spec.rows)),
        trials=read_trials(Path(spec.trials)) if spec.trials else (),
        copied=spec.copied,
        judgement=read_judgement(Path(spec.judgement)) if spec.judgement else None,
        gold_student=_read_gold_student(spec.gold_student) if spec.gold_student else None,
        earlier=earlier,
        released=read_released(spec.released, spec.provenance) if spec.released else None,
        speed=_read_speed(Path(spec.speed)) if spec.speed else None,
        shipped=spec.shipped,
        data_cost=spec.data_cost,
    )
    write_pages(Path(spec.out), document)
    write_items(Path(spec.out) / files.ITEMS_FILE, _items(predictions))
    if earlier:
        write_items(Path(spec.out) / files.EARLIER_FILE, earlier.items)
    return ReportResult(
        data_version=hashing.sha256(hashing.canonical_json(document.as_json())),
        counts=ReportCounts(items=document.items),
        headline=document.headline,
        verdict=document.verdict.verdict,
        weak_teacher=document.weak_teacher,
        fall=document.fall,
    )


def _items(predictions: Mapping[Role, Sequence[Row]]) -> list[Row]:
    """The items of the report; each row's group and task are those of the student's predictions."""
    scores: dict[Role, dict[str, float]] = {role: item_scores(predictions[role]) for role in ROLES}
    tasks = {row["row_id"]: row["task"] for row in predictions["student"]}
    return items_of(scores, item_groups(predictions["student"]), tasks)


def _read_benchmark(path: Path) -> Benchmark:
    return Benchmark.model_validate(json.loads(path.read_text(encoding="utf-8")))


def _read_gold_student(of: GoldStudentFiles) -> GoldStudentScores:
    folder = Path(of.benchmark)
    return GoldStudentScores(
        benchmark=_read_benchmark(folder / files.BENCHMARK_FILE),
        predictions=parquet.read_table(folder / files.PREDICTIONS_FILE),
        gold_rows=of.gold_rows,
        student_rows=of.student_rows,
    )


def _read_speed(path: Path) -> SpeedDocument:
    """The models' speed, each round without its turns: speed.json keeps them."""
    document = SpeedDocument.model_validate(json.loads(path.read_text(encoding="utf-8")))
    return document.model_copy(update={"rounds": [one.model_copy(update={"turns": []}) for one in document.rounds]})


def build_report(
    *,
    project: str,
    benchmarks: Mapping[Role, Benchmark],
    predictions: Mapping[Role, Sequence[Row]],
    evaluation: EvaluationConfig,
    provenance: Provenance,
    history: Sequence[Mapping[str, Any]],
    rows: Sequence[Row] = (),
    trials: Sequence[Trial] = (),
    copied: Collection[str] | None = None,
    judgement: JudgementTable | None = None,
    gold_student: GoldStudentScores | None = None,
    earlier: Earlier | None = None,
    released: Earlier | None = None,
    speed: SpeedDocument | None = None,
    shipped: str | None = None,
    data_cost: DataCost | None = None,
) -> ReportDocument:
    """The document of a report.

    `predictions` are the rows of each role's predictions.parquet. `rows` are the held-out raw rows; with them, the
    examples show the prompts. `trials` are those of a sweep. `copied` are the ids of held-out rows that a training row
    copies, if they are known. `judgement` is what a judge says of the answers. `gold_student` is the student trained on
    gold answers alone. `earlier` and `released` are other students on the same rows: that of the replaced report, and
    the released one. `shipped` is the export that is held against the lesson's targets, beside the student.

    Raises:
        DataError: a role is missing, or the three were not scored on the same items.
    """
    _require_roles(benchmarks.keys() & predictions.keys())
    scores = {role: item_scores(predictions[role]) for role in ROLES}
    items = _items(predictions)
    groups = {row["row_id"]: row["group"] for row in items if row["group"] is not None}
    how: dict[str, Any] = {"resamples": evaluation.resamples, "seed": evaluation.seed, "groups": groups}
    compared = with_shown_gap(compare(**scores, **how), benchmarks["baseline"])
    against_earlier, against_released = (
        compare_with(other, items, evaluation) if other else None for other in (earlier, released)
    )
    tasks = {row["row_id"]: row["task"] for row in items}
    retention, ratios = compared.retention, ratios_of(benchmarks, speed)
    by_task = benchmarks["teacher"].by_task
    measured: dict[MeasuredRole, Benchmark] = {role: benchmarks[role] for role in ROLES}
    if gold_student:
        measured["gold_student"] = gold_student.benchmark
    return ReportDocument(
        project=project,
        headline=headline(retention, ratios),
        verdict=_state_verdict(retention, evaluation.retention_target),
        items=retention.items,
        retention=retention,
        gap_recovered=compared.gap_recovered,
        mcnemar=mcnemar(scores["teacher"], scores["student"], groups),
        ratios=ratios,
        metrics=[(task, metric) for task, found in by_task.items() for metric in found.metrics],
        benchmarks={role: benchmarks[role] for role in ROLES},
        classes=class_tables(predictions, benchmarks["teacher"].labels),
        confusions=confusion_tables(predictions, benchmarks["teacher"].labels),
        slices=slices_of(predictions, rows, copied, evaluation),
        agreement=agreements(predictions, benchmarks["teacher"].labels, evaluation.resamples, evaluation.seed),
        examples=example_pairs(predictions, rows),
        lineage=provenance,
        history=[dict(entry) for entry in history],
        trials=list(trials),
        judgement=judgement,
        gold_student=compare_with_gold(gold_student, benchmarks["student"], scores["student"], **how)
        if gold_student
        else None,
        evaluation=evaluation,
        notes=[
            *notes_on(measured, compared, speed),
            *launchpad_notes(provenance),
            *stop_notes(provenance),
            *([ONE_SEED] if gold_student else []),
        ],
        weak_teacher=weak_teacher_text(standings(benchmarks["teacher"], predictions["teacher"])),
        to_teacher=compared.to_teacher,
        to_baseline=compared.to_baseline,
        tasks=differences_by_task(scores["student"], scores["teacher"], tasks, **how),
        against_released=against_released,
        against_earlier=against_earlier,
        fall=fall_text(against_released, against_earlier),
        speed=speed,
        lesson=lesson_rows(retention, speed, shipped),
        data_cost=data_cost,
    )


def _require_roles(given: Set[Role]) -> None:
    if missing := [role for role in ROLES if role not in given]:
        raise DataError(
            f"the report compares {', '.join(ROLES)}, and has no benchmark of {', '.join(missing)}; "
            f"materialize {', '.join(f'{role}_benchmark' for role in missing)}"
        )


def _state_verdict(retention: RatioEstimate, target: float) -> StatedVerdict:
    decision = decide(retention, target)
    return StatedVerdict(
        verdict=decision.outcome,
        target=target,
        reason=decision.reason,
        items_needed=decision.items_needed,
        text=verdict_text(decision, target, retention),
    )


def write_pages(folder: Path, document: ReportDocument) -> None:
    """Write report.json, report.md and report.html into `folder`."""
    text = json.dumps(document.as_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / files.REPORT_FILE).write_text(text, encoding="utf-8")
    (folder / files.REPORT_MARKDOWN).write_text(render_markdown(document), encoding="utf-8")
    (folder / files.REPORT_PAGE).write_text(render_html(document), encoding="utf-8")
