"""What the UI shows of the distributions over a shard's answers, or over a round's rollouts."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import REJECTED, preview_rows, schema_of, usage_of
from distill_dagster.logits.specs import CaptureResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest


def logits_view(manifest: Manifest) -> dict[str, Any]:
    """What the UI shows of the distributions: their size, how much they hold, which answers were refused."""
    from distill_dagster.logits.size import measure_file

    result, size = manifest.read(CaptureResult), measure_file(manifest.file(files.LOGITS_FILE))
    rejects = preview_rows(manifest.file(files.REJECTS_FILE), REJECTED, manifest.asset)
    return {
        "dagster/row_count": result.counts.captured,
        "dagster/column_schema": schema_of(manifest.asset),
        "tokens": result.tokens,
        "bytes_per_token": float(size["bytes_per_token"]),
        "tokens_per_second": result.tokens_per_second,
        "kept_mass": result.kept_mass,
        "retokenized": result.retokenized,
        "of": dg.MetadataValue.json(result.model_dump(include={"k", "vocab_size", "precision", "tokenizer_hash"})),
        "size": dg.MetadataValue.json(size["columns"]),
        "rejected": dg.MetadataValue.json(result.errors),
        **({"rejected_rows": rejects} if rejects else {}),
        **usage_of(result, result.dtype),
    }
