"""What people read about source rows: how many there are, their tasks, and a few of them."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import preview_rows, schema_of, table_preview
from distill_dagster.sources.specs import ReadResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest


def rows_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of `raw_dataset` and `eval_dataset`."""
    rejects = preview_rows(manifest.file(files.REJECTS_FILE), ("code", "line", "message", "snippet"), manifest.asset)
    result = manifest.read(ReadResult)
    return {
        "dagster/row_count": result.counts.rows,
        "dagster/column_schema": schema_of(manifest.asset),
        "valid_share": result.counts.rows / max(1, result.counts.lines),
        "with_reference": result.with_reference,
        "rows_by_task": dg.MetadataValue.json(result.tasks),
        "preview": table_preview(
            manifest.file(files.RAW_FILE), ("reference", "messages", "task", "row_id"), manifest.asset
        ),
        **({"rejected_rows": rejects} if rejects else {}),
    }
