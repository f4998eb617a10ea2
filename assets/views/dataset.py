"""What people read about the validated set."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.quality import quality_metadata
from distill_dagster.assets.views.tables import preview_rows, schema_of, table_preview
from distill_dagster.store import files, schemas
from distill_dagster.store.manifest import Manifest


def set_view(manifest: Manifest) -> dict[str, Any]:
    rejects = preview_rows(manifest.file(files.REJECTS_FILE), ["row_id", "code", "message", "snippet"])
    return {
        "dagster/row_count": manifest.counts["examples"],
        "dagster/column_schema": schema_of(schemas.EXAMPLE),
        "shards": manifest.facts["shards"],
        "acceptance": float(manifest.facts["acceptance"]),
        **quality_metadata(manifest.facts),
        "facts": dg.MetadataValue.json(manifest.facts),
        "preview": table_preview(manifest.file(files.EXAMPLES_FILE), ["row_id", "task", "messages", "answer", "flags"]),
        **({"rejected_rows": rejects} if rejects else {}),
    }
