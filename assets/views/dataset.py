"""What people read about the validated set."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.quality import funnel, quality_metadata
from distill_dagster.assets.views.tables import REJECTED, preview_rows, schema_of, table_preview
from distill_dagster.quality.specs import GoldSetResult, SetResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest

SHOWN = ("answer", "messages", "label", "gold_score", "flags", "row_id")


def set_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of `validated_synthetic_set`."""
    rejects = preview_rows(manifest.file(files.REJECTS_FILE), REJECTED, "validated_synthetic_set")
    result = manifest.read(SetResult)
    return {
        "dagster/row_count": result.counts.examples,
        "dagster/column_schema": schema_of("validated_synthetic_set"),
        "shards": result.shards,
        **({"acceptance": float(result.acceptance)} if result.acceptance is not None else {}),
        "funnel": funnel(result.counts),
        **quality_metadata(result),
        "facts": dg.MetadataValue.json(manifest.facts),
        "preview": table_preview(manifest.file(files.EXAMPLES_FILE), SHOWN, "validated_synthetic_set"),
        **({"rejected_rows": rejects} if rejects else {}),
    }


def gold_set_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of `gold_set`."""
    result = manifest.read(GoldSetResult)
    rejects = preview_rows(manifest.file(files.REJECTS_FILE), REJECTED, "gold_set")
    return {
        "dagster/row_count": result.counts.examples,
        "dagster/column_schema": schema_of("gold_set"),
        "shards": result.shards,
        "prompts_without_gold": result.counts.no_gold,
        "preview": table_preview(manifest.file(files.EXAMPLES_FILE), SHOWN, "gold_set"),
        **({"rejected_rows": rejects} if rejects else {}),
    }
