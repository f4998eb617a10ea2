"""The worker that compares three benchmarks and writes the report.

report.json   the document, with the benchmarks in full
report.md     for a terminal, a pull request, Dagster's metadata
report.html   one file for a browser, light or dark, wide or narrow; it has no scripts and fetches nothing
"""

import json
from pathlib import Path
from typing import Any

from distill_dagster.config import ROLES
from distill_dagster.evaluation.agreement import agreements
from distill_dagster.evaluation.chance import standings
from distill_dagster.evaluation.comparison import Comparison, RatioEstimate, compare, mcnemar
from distill_dagster.evaluation.confusions import confusion_tables
from distill_dagster.evaluation.differences import differences_by_task
from distill_dagster.evaluation.earlier import write_items
from distill_dagster.evaluation.slices import slices_of
from distill_dagster.evaluation.verdict import decide
from distill_dagster.report.classes import class_tables
from distill_dagster.report.document import SCHEMA_VERSION, ReportDocument, StatedVerdict, in_order
from distill_dagster.report.earlier import compare_with
from distill_dagster.report.examples import example_pairs
from distill_dagster.report.gap import with_shown_gap
from distill_dagster.report.gold_student import compare_with_gold
from distill_dagster.report.lesson import lesson_rows
from distill_dagster.report.notes import launchpad_notes, notes_on, stop_notes
from distill_dagster.report.parts import ReportParts, read_parts
from distill_dagster.report.ratios import ratios_of
from distill_dagster.report.rendering import render_html, render_markdown
from distill_dagster.report.specs import ReportCounts, ReportResult, ReportSpec
from distill_dagster.report.wording import fall_text, headline, verdict_text, weak_teacher_text
from distill_dagster.store import files, hashing

INCOMPARABLE = (
    "The released student is not compared: it was measured on other held-out rows, or in another way. It is measured "
    "again when this student is judged for a release."
)
Fields = dict[str, Any]  # fields of a ReportDocument


def write_report(spec: ReportSpec, device: str = "cpu") -> ReportResult:
    """Read what `spec` names, and write report.json, report.md, report.html and the items into `spec.out`.

    Raises:
        DataError: a role is missing, or the three were not scored on the same items.
    """
    parts, out = read_parts(spec), Path(spec.out)
    document = build_report(parts)
    write_pages(out, document)
    write_items(out / files.ITEMS_FILE, parts.items)
    if parts.earlier:
        write_items(out / files.EARLIER_FILE, parts.earlier.items)
    if parts.released:
        write_items(out / files.CHAMPION_FILE, parts.released.items)
    return ReportResult(
        data_version=_data_version(document),
        counts=ReportCounts(items=document.items),
        headline=document.headline,
        verdict=document.verdict.verdict,
        weak_teacher=document.weak_teacher,
        fall=document.fall,
    )


def _data_version(document: ReportDocument) -> str:
    """The hash of the document, without where the project stood when it was written: a commit changes no number."""
    body = document.as_json()
    body["lineage"] = {name: said for name, said in body["lineage"].items() if name not in ("commit", "package")}
    return hashing.sha256(hashing.canonical_json(body))


def build_report(parts: ReportParts) -> ReportDocument:
    """The document of a report.

    Raises:
        DataError: the models were not scored on the same items.
    """
    compared = with_shown_gap(compare(**parts.scores, **parts.resampling), parts.benchmarks["baseline"])
    by_task = parts.benchmarks["teacher"].by_task
    return ReportDocument(
        schema_version=SCHEMA_VERSION,
        project=parts.project,
        evaluation=parts.evaluation,
        lineage=parts.provenance,
        benchmarks={role: parts.benchmarks[role] for role in ROLES},
        metrics=[(task, metric) for task, found in by_task.items() for metric in found.metrics],
        history=[dict(entry) for entry in parts.history],
        trials=list(parts.trials),
        judgement=parts.judgement,
        funnel=parts.funnel,
        hyperparameters=list(parts.hyperparameters),
        notes=_notes(parts, compared),
        weak_teacher=weak_teacher_text(standings(parts.benchmarks["teacher"], parts.predictions["teacher"])),
        **_compared(parts, compared),
        **_against_others(parts),
        **_parts_of_the_test_set(parts),
        **_timed(parts, compared.retention),
    )


def _compared(parts: ReportParts, compared: Comparison) -> Fields:
    """The student against teacher and baseline."""
    scores, retention = parts.scores, compared.retention
    return {
        "verdict": _state_verdict(retention, parts.evaluation.retention_target),
        "items": retention.items,
        "retention": retention,
        "gap_recovered": compared.gap_recovered,
        "mcnemar": mcnemar(scores["teacher"], scores["student"], parts.groups),
        "to_teacher": compared.to_teacher,
        "to_baseline": compared.to_baseline,
        "tasks": differences_by_task(scores["student"], scores["teacher"], parts.tasks, **parts.resampling),
    }


def _against_others(parts: ReportParts) -> Fields:
    """The student against the one trained on gold answers, the released one, and that of the last report."""
    gold, student = parts.gold_student, parts.benchmarks["student"]
    earlier, released = (
        compare_with(other, parts.items, parts.evaluation) if other else None
        for other in (parts.earlier, parts.released)
    )
    return {
        "gold_student": compare_with_gold(gold, student, parts.scores["student"], **parts.resampling) if gold else None,
        "against_released": released,
        "against_earlier": earlier,
        "fall": fall_text(released, earlier),
    }


def _parts_of_the_test_set(parts: ReportParts) -> Fields:
    """Where the student is right and wrong: by class, by slice, and row by row."""
    predictions, labels, evaluation = parts.predictions, parts.labels, parts.evaluation
    return {
        "classes": class_tables(predictions, labels),
        "confusions": confusion_tables(predictions, labels),
        "slices": slices_of(parts.measured, parts.rows, parts.copied, evaluation),
        "agreement": agreements(predictions, labels, evaluation.resamples, evaluation.seed),
        "examples": example_pairs(predictions, parts.rows),
    }


def _timed(parts: ReportParts, retention: RatioEstimate) -> Fields:
    """Speed, size and cost, and the headline that names them."""
    ratios = ratios_of(parts.benchmarks, parts.speed)
    return {
        "headline": headline(retention, ratios),
        "ratios": ratios,
        "speed": parts.speed,
        "lesson": lesson_rows(retention, parts.speed, parts.shipped),
        "data_cost": parts.data_cost,
        "costs": parts.costs,
    }


def _notes(parts: ReportParts, compared: Comparison) -> list[str]:
    """What a reader has to know about how the models were made and measured."""
    measured = in_order(parts.benchmarks, parts.gold_student and parts.gold_student.benchmark)
    return [
        *notes_on(measured, compared, parts.speed),
        *launchpad_notes(parts.provenance),
        *stop_notes(parts.provenance),
        *([INCOMPARABLE] if parts.incomparable else []),
    ]


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
