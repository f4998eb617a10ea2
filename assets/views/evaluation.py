"""The metadata that the UI shows of a benchmark and of the report."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import table_preview, usage_of
from distill_dagster.evaluation.specs import BenchmarkResult
from distill_dagster.report.document import read_document
from distill_dagster.report.specs import ReportResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest


def benchmark_view(manifest: Manifest) -> dict[str, Any]:
    """One model's score, speed, memory and machine, and some of its answers."""
    result = manifest.read(BenchmarkResult)
    low, high = result.interval
    shown = result.model_dump(mode="json", include={"speed", "memory", "by_task", "hardware", "versions"})
    return {
        "dagster/row_count": result.counts.rows,
        "score": result.score,
        "score_interval_95": f"{low:.4f} to {high:.4f}",
        "parameters": result.parameters or "not known",
        "latency": dg.MetadataValue.json(shown["speed"]),
        "memory": dg.MetadataValue.json(shown["memory"]),
        "by_task": dg.MetadataValue.json(shown["by_task"]),
        "hardware": dg.MetadataValue.json({"hardware": shown["hardware"], "versions": shown["versions"]}),
        "preview": table_preview(
            manifest.file(files.PREDICTIONS_FILE), ["row_id", "task", "prediction", "score", "finish_reason"]
        ),
        **usage_of(result, result.dtype),
    }


def report_view(manifest: Manifest) -> dict[str, Any]:
    """The verdict, the comparison as a table, and the report itself."""
    from distill_dagster.report.tables import summary_rows

    result = manifest.read(ReportResult)
    columns = ("measure", "teacher", "baseline", "student")
    rows = summary_rows(read_document(manifest.file(files.REPORT_FILE)))
    return {
        "dagster/row_count": result.counts.items,
        "verdict": result.verdict,
        "headline": result.headline,
        "scores": dg.MetadataValue.table([dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]),
        "report": dg.MetadataValue.path(manifest.file(files.REPORT_PAGE)),
        "report_markdown": dg.MetadataValue.md(manifest.file(files.REPORT_MARKDOWN).read_text(encoding="utf-8")),
    }
