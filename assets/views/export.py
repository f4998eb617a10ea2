"""What people read in the UI about an export: what it loses, how large it is, and some of its answers."""

from typing import Any

from distill_dagster.assets.views.tables import schema_of, table_preview, usage_of
from distill_dagster.release.export.formats import precision
from distill_dagster.release.export.specs import ExportResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest

NO_MODELFILE = "not written: the chat template is not turn after turn, as Ollama's are"
SHOWN = ("parsed", "reference", "score", "prediction", "finish_reason", "row_id")


def export_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of an export: its score beside the checkpoint's, its size, and where its files are."""
    result = manifest.read(ExportResult)
    low, high = result.interval
    counts = result.counts
    written = {} if result.modelfile is None else {"modelfile": "written" if result.modelfile else NO_MODELFILE}
    return {
        "difference": result.difference,
        "difference_low": low,
        "difference_high": high,
        "score": result.score,
        "score_checkpoint": result.checkpoint_score,
        "same_answers_share": counts.same_answers / counts.predictions,
        "same_prompts_share": counts.same_prompts / counts.predictions,
        "bytes_on_disk": result.bytes_on_disk,
        "bytes_checkpoint": result.checkpoint_bytes,
        "runtime": result.runtime,
        "path": str(manifest.file(files.WEIGHTS_FOLDER)),
        **written,
        "dagster/row_count": counts.rows,
        "dagster/column_schema": schema_of(manifest.asset),
        "preview": table_preview(manifest.file(files.PREDICTIONS_FILE), SHOWN, manifest.asset),
        **usage_of(result, precision(result.form)),
    }
