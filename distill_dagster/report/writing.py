"""The worker that compares three benchmarks and writes the report.

report.json   the document, with the benchmarks in full
report.md     for a terminal, a pull request, Dagster's metadata
report.html   one file for a browser, light or dark, wide or narrow; it has no scripts and fetches nothing
"""

import json
from collections.abc import Collection, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from distill_dagster.config import ROLES, EvaluationConfig, Role
from distill_dagster.errors import DataError
from distill_dagster.evaluation.agreement import agreements
from distill_dagster.evaluation.chance import standings
from distill_dagster.evaluation.comparison import RatioEstimate, compare, item_scores, mcnemar
from distill_dagster.evaluation.confusions import confusion_tables
from distill_dagster.evaluation.judging.specs import JudgementTable, read_judgement
from distill_dagster.evaluation.slices import slices_of
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.evaluation.verdict import decide
from distill_dagster.report.classes import class_tables
from distill_dagster.report.document import ReportDocument, StatedVerdict
from distill_dagster.report.examples import example_pairs
from distill_dagster.report.gap import with_shown_gap
from distill_dagster.report.notes import launchpad_notes, notes_on, stop_notes
from distill_dagster.report.ratios import ratios_of
from distill_dagster.report.rendering import render_html, render_markdown
from distill_dagster.report.specs import Provenance, ReportCounts, ReportResult, ReportSpec
from distill_dagster.report.wording import headline, verdict_text, weak_teacher_text
from distill_dagster.store import files, hashing, parquet
from distill_dagster.tuning.specs import Trial
from distill_dagster.tuning.table import read_trials

Row = Mapping[str, Any]


def write_report(spec: ReportSpec, device: str = "cpu") -> ReportResult:
    """Read what `spec` names, and write report.json, report.md and report.html into `spec.out`.

    Raises:
        DataError: a role is missing, or the three were not scored on the same items.
    """
    folders: dict[Role, Path] = {role: Path(folder) for role, folder in spec.benchmarks.items()}
    document = build_report(
        project=spec.project,
        benchmarks={role: _read_benchmark(folder / files.BENCHMARK_FILE) for role, folder in folders.items()},
        predictions={role: parquet.read_table(folder / files.PREDICTIONS_FILE) for role, folder in folders.items()},
        evaluation=spec.evaluation,
        provenance=spec.provenance,
        history=json.loads(Path(spec.history).read_text(encoding="utf-8")),
        rows=parquet.read_table(Path(spec.rows)),
        trials=read_trials(Path(spec.trials)) if spec.trials else (),
        copied=spec.copied,
        judgement=read_judgement(Path(spec.judgement)) if spec.judgement else None,
    )
    write_pages(Path(spec.out), document)
    return ReportResult(
        data_version=hashing.sha256(hashing.canonical_json(document.as_json())),
        counts=ReportCounts(items=document.items),
        headline=document.headline,
        verdict=document.verdict.verdict,
        weak_teacher=document.weak_teacher,
    )


def _read_benchmark(path: Path) -> Benchmark:
    return Benchmark.model_validate(json.loads(path.read_text(encoding="utf-8")))


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
) -> ReportDocument:
    """The document of a report.

    `predictions` are the rows of each role's predictions.parquet. `rows` are the held-out raw rows; with them, the
    examples show the prompts. `trials` are those of a sweep. `copied` are the ids of held-out rows that a training row
    copies, if they are known. `judgement` is what a judge says of the answers.

    Raises:
        DataError: a role is missing, or the three were not scored on the same items.
    """
    _require_roles(benchmarks.keys() & predictions.keys())
    scores = {role: item_scores(predictions[role]) for role in ROLES}
    compared = compare(**scores, resamples=evaluation.resamples, seed=evaluation.seed)
    compared = with_shown_gap(compared, benchmarks["baseline"])
    retention, ratios = compared.retention, ratios_of(benchmarks)
    by_task = benchmarks["teacher"].by_task
    return ReportDocument(
        project=project,
        headline=headline(retention, ratios),
        verdict=_state_verdict(retention, evaluation.retention_target),
        items=retention.items,
        retention=retention,
        gap_recovered=compared.gap_recovered,
        mcnemar=mcnemar(scores["teacher"], scores["student"]),
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
        evaluation=evaluation,
        notes=[*notes_on(benchmarks, compared), *launchpad_notes(provenance), *stop_notes(provenance)],
        weak_teacher=weak_teacher_text(standings(benchmarks["teacher"], predictions["teacher"])),
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
