"""The metadata that the UI shows of a benchmark and of the report."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import schema_of, table_of, table_preview, usage_of
from distill_dagster.evaluation.differences import Difference
from distill_dagster.evaluation.specs import BenchmarkResult
from distill_dagster.report.document import ReportDocument, read_document
from distill_dagster.report.specs import ReportResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest

SHOWN = ("parsed", "reference", "score", "prediction", "finish_reason", "row_id")
MEASURES = {  # column of the scores -> what it holds; the student's comes first, since it is the one to decide about
    "measure": "What is measured. A range in brackets is the 95 % interval.",
    "student": "The student after distillation.",
    "teacher": "The teacher.",
    "baseline": "The student before distillation.",
    "gold_student": "The same student trained on gold answers alone.",
}


def benchmark_view(manifest: Manifest) -> dict[str, Any]:
    """One model's score and size, and some of its answers."""
    result = manifest.read(BenchmarkResult)
    low, high = result.interval
    shown = result.model_dump(mode="json", include={"by_task", "versions"})
    return {
        "dagster/row_count": result.counts.rows,
        "dagster/column_schema": schema_of(manifest.asset),
        "score": result.score,
        "score_low": low,
        "score_high": high,
        **({"bytes_on_disk": result.bytes_on_disk} if result.bytes_on_disk is not None else {}),
        **{
            f"{task}_{name}": value for task, scored in result.by_task.items() for name, value in scored.metrics.items()
        },
        "parameters": result.parameters or "not known",
        "by_task": dg.MetadataValue.json(shown["by_task"]),
        "versions": dg.MetadataValue.json(shown["versions"]),
        "preview": table_preview(manifest.file(files.PREDICTIONS_FILE), SHOWN, manifest.asset),
        **usage_of(result, result.dtype),
    }


def report_view(manifest: Manifest) -> dict[str, Any]:
    """The verdict, the comparison as a table, and the report itself."""
    from distill_dagster.report.tables import summary_rows

    result = manifest.read(ReportResult)
    document = read_document(manifest.file(files.REPORT_FILE))
    columns = ("measure", *document.models)
    rows = [dict(zip(columns, row, strict=True)) for row in summary_rows(document)]
    rows = [{**row, "measure": row["measure"].removesuffix(" (95 % interval)")} for row in rows]  # MEASURES says it
    return {
        **({"weak_teacher": result.weak_teacher} if result.weak_teacher else {}),
        "verdict": result.verdict,
        **({"fall": result.fall} if result.fall else {}),
        "headline": result.headline,
        **({"gold_student": document.gold_student.text} if document.gold_student else {}),
        **_numbers(document),
        "dagster/row_count": result.counts.items,
        "scores": table_of(rows, {name: says for name, says in MEASURES.items() if name in columns}),
        "report": dg.MetadataValue.path(manifest.file(files.REPORT_PAGE)),
        "report_markdown": dg.MetadataValue.md(manifest.file(files.REPORT_MARKDOWN).read_text(encoding="utf-8")),
    }


def _numbers(document: ReportDocument) -> dict[str, float | int]:
    """The comparison as numbers that plot over time; what is undefined or was not measured is left out."""
    retention, gap, models, gold = document.retention, document.gap_recovered, document.models, document.gold_student
    numbers = {
        "retention": retention.value,
        "retention_low": retention.low,
        "retention_high": retention.high,
        "retention_target": document.verdict.target,
        "gap_recovered": gap.value,
        **_difference("to_teacher", document.to_teacher),
        **_difference("to_released", document.against_released.difference if document.against_released else None),
        **_difference("to_earlier", document.against_earlier.difference if document.against_earlier else None),
        **_difference("to_gold_student", gold.difference if gold else None),
        **{f"score_{role}": models[role].score for role in MEASURES if role in models},
        "latency_p50_ms": document.latency_p50("student"),
        **{f"{ratio.measure}_ratio": ratio.value for ratio in document.headline_ratios},
        "parameters": models["student"].parameters,
        **_cost(document),
    }
    return {name: value for name, value in numbers.items() if value is not None}


def _cost(document: ReportDocument) -> dict[str, float | None]:
    """Money and time of everything that the report is made from, and how many answers became examples."""
    costs, funnel = document.costs, document.funnel
    return {
        "cost_usd": costs.usd if costs else None,
        "machine_seconds": costs.seconds if costs else None,
        "gpu_seconds_of_all_stages": costs.gpu_seconds if costs else None,
        "acceptance": funnel.examples / funnel.answers if funnel and funnel.answers else None,
    }


def _difference(name: str, found: Difference | None) -> dict[str, float]:
    """A difference of scores with both ends."""
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high} if found else {}
