"""What people read about a benchmark and about the report."""

import json
from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import table_preview, usage_of
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest


def benchmark_view(manifest: Manifest) -> dict[str, Any]:
    facts = manifest.facts
    low, high = facts["interval"]
    return {
        "dagster/row_count": manifest.counts["rows"],
        "score": float(facts["score"]),
        "score_interval_95": f"{low:.4f} to {high:.4f}",
        "parameters": facts["parameters"] or "not known",
        "latency": dg.MetadataValue.json(facts["speed"]),
        "memory": dg.MetadataValue.json(facts["memory"]),
        "by_task": dg.MetadataValue.json(facts["by_task"]),
        "hardware": dg.MetadataValue.json({"hardware": facts["hardware"], "versions": facts["versions"]}),
        "preview": table_preview(
            manifest.file(files.PREDICTIONS_FILE), ["row_id", "task", "prediction", "score", "finish_reason"]
        ),
        **usage_of(facts),
    }


def report_view(manifest: Manifest) -> dict[str, Any]:
    from distill_dagster.report.document import summary_rows

    document = json.loads(manifest.file(files.REPORT_FILE).read_text(encoding="utf-8"))
    columns = ("measure", "teacher", "baseline", "student")
    rows = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in summary_rows(document)]
    return {
        "dagster/row_count": document["items"],
        "verdict": manifest.facts["verdict"],
        "headline": manifest.facts["headline"],
        "scores": dg.MetadataValue.table(rows),
        "report": dg.MetadataValue.path(manifest.file(files.REPORT_PAGE)),
        "report_markdown": dg.MetadataValue.md(manifest.file(files.REPORT_MARKDOWN).read_text(encoding="utf-8")),
    }
