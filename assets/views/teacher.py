"""What people read in the UI about a model, and about a shard's answers."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import schema_of, table_preview, usage_of
from distill_dagster.assets.views.training import training_metadata
from distill_dagster.models.ref import read_ref
from distill_dagster.store import files, schemas
from distill_dagster.store.manifest import Manifest
from distill_dagster.training.specs import PrepareResult


def model_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of a model that was pinned, built or fitted."""
    return {**weights_view(manifest), **training_metadata(manifest.read(PrepareResult).fit)}


def weights_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of the model that an artefact holds, however it was made."""
    ref = read_ref(manifest.folder)
    return {
        "model": ref.name,
        "revision": ref.revision,
        "parameters": ref.parameters,
        "weights": dg.MetadataValue.url(ref.endpoint.url) if ref.endpoint else dg.MetadataValue.path(ref.path),
        **usage_of(manifest.facts),
    }


def answers_view(manifest: Manifest) -> dict[str, Any]:
    facts, counts = manifest.facts, manifest.counts
    return {
        "dagster/row_count": counts["ok"] + counts["failed"],
        "dagster/column_schema": schema_of(schemas.TEACHER),
        "success_share": counts["ok"] / max(1, counts["ok"] + counts["failed"]),
        "truncated_share": counts["truncated"] / max(1, counts["ok"]),
        "asked": facts["asked"],
        "reused": facts["reused"],
        "tokens_per_second": float(facts["tokens_per_second"]),
        "prompt_tokens": facts["prompt_tokens"],
        "completion_tokens": facts["completion_tokens"],
        "cost_usd": float(facts["cost_usd"]),
        "cost_usd_of_all_rows": float(facts["table_cost_usd"]),
        "answers_by_teacher": dg.MetadataValue.json(facts["teachers"]),
        **({"errors": dg.MetadataValue.json(facts["errors"])} if facts["errors"] else {}),
        "preview": table_preview(manifest.file(files.TEACHER_FILE), ["row_id", "turn", "raw_text", "finish_reason"]),
        **usage_of(facts),
    }
