"""What the UI shows of a pinned or made model, and of a shard's answers."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import schema_of, table_preview, usage_of
from distill_dagster.assets.views.training import training_metadata
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.models.ref import read_ref
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.result import Result
from distill_dagster.teachers.money import LOCAL, NO_PRICE
from distill_dagster.training.specs import Cut, PrepareResult

SHOWN = ("answer", "raw_text", "finish_reason", "turn", "row_id")


def model_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of a model that was pinned, built or fitted."""
    result = manifest.read(PrepareResult)
    return {**weights_view(manifest, result, result.dtype), **_cut(result.cut), **training_metadata(result.fit)}


def _cut(cut: Cut | None) -> dict[str, Any]:
    """What a student has of the teacher that it was cut out of."""
    if cut is None:
        return {}
    influence = {"block_influence": dg.MetadataValue.json(cut.influence)} if cut.influence else {}
    return {"cut": cut.words, **influence}


def weights_view(manifest: Manifest, result: Result, dtype: str) -> dict[str, Any]:
    """Metadata of the model that an artefact holds, however it was made."""
    ref = read_ref(manifest.described)
    return {
        "model": ref.name,
        "revision": ref.revision,
        "parameters": ref.parameters,
        "weights": dg.MetadataValue.url(ref.endpoint.url) if ref.endpoint else dg.MetadataValue.path(ref.path),
        **usage_of(result, dtype),
    }


def answers_view(manifest: Manifest) -> dict[str, Any]:
    """What the UI shows of a shard's answers."""
    result = manifest.read(GenerateResult)
    counts = result.counts
    return {
        "dagster/row_count": counts.requests,
        "dagster/column_schema": schema_of("teacher_outputs"),
        "success_share": counts.ok / max(1, counts.requests),
        "truncated_share": counts.truncated / max(1, counts.ok),
        "asked": result.asked,
        "reused": result.reused,
        "tokens_per_second": result.tokens_per_second,
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        **cost_of(result),
        "answers_by_teacher": dg.MetadataValue.json(result.teachers),
        "finish_reasons": dg.MetadataValue.json(result.finish_reasons),
        "tokens_estimated": result.estimated,
        **({"errors": dg.MetadataValue.json(result.errors)} if result.errors else {}),
        "preview": table_preview(manifest.file(files.TEACHER_FILE), SHOWN, "teacher_outputs"),
        **usage_of(result, result.dtype),
    }


def cost_of(result: GenerateResult) -> dict[str, Any]:
    """What the answers, and the judge that chose among them, cost: numbers if there is a price, else words."""
    words, paid = {"local": LOCAL, "no price": NO_PRICE}, result.table_cost_usd + result.judge_cost_usd
    if result.billing in words and not paid:
        return {"cost": words[result.billing]}
    return {"cost_usd": result.cost_usd, "cost_usd_of_all_rows": paid}
