"""What the UI shows of a round's rollouts."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import REJECTED, preview_rows, schema_of, table_preview, usage_of
from distill_dagster.rollouts.specs import SampleResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest

SHOWN = ("text", "messages", "finish_reason", "row_id")


def rollouts_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of the rollouts: how many, how long, and why they ended."""
    result = manifest.read(SampleResult)
    counts = result.counts
    rejects = preview_rows(manifest.file(files.REJECTS_FILE), REJECTED, manifest.asset)
    ends = {"stop": counts.stop, "length": counts.length, "repetition": counts.repetition}
    return {
        "dagster/row_count": counts.rollouts,
        "dagster/column_schema": schema_of(manifest.asset),
        "tokens": result.tokens,
        "tokens_per_second": result.tokens_per_second,
        "resumed": result.resumed,
        "finish_reasons": dg.MetadataValue.json(ends),
        "repetition_share": counts.repetition / max(1, counts.rollouts),
        "preview": table_preview(manifest.file(files.ROLLOUTS_FILE), SHOWN, manifest.asset),
        **({"rejected_rows": rejects} if rejects else {}),
        **usage_of(result, result.dtype),
    }
