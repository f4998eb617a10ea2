"""What people read about a shard's distributions."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import preview_rows, schema_of, usage_of
from distill_dagster.store import files, schemas
from distill_dagster.store.manifest import Manifest


def logits_view(manifest: Manifest) -> dict[str, Any]:
    from distill_dagster.logits.size import measure_file

    facts, size = manifest.facts, measure_file(manifest.file(files.LOGITS_FILE))
    rejects = preview_rows(manifest.file(files.REJECTS_FILE), ["row_id", "code", "message", "snippet"])
    return {
        "dagster/row_count": manifest.counts["captured"],
        "dagster/column_schema": schema_of(schemas.LOGITS),
        "tokens": facts["tokens"],
        "bytes_per_token": float(size["bytes_per_token"]),
        "tokens_per_second": float(facts["tokens_per_second"]),
        "kept_mass": float(facts["kept_mass"]),
        "retokenized": facts["retokenized"],
        "of": dg.MetadataValue.json({key: facts[key] for key in ("k", "vocab_size", "precision", "tokenizer_hash")}),
        "size": dg.MetadataValue.json(size["columns"]),
        "rejected": dg.MetadataValue.json(facts["errors"]),
        **({"rejected_rows": rejects} if rejects else {}),
        **usage_of(facts),
    }
