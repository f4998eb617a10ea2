"""What people read in the UI about the distilled student."""

from typing import Any

from distill_dagster.assets.views.teacher import weights_view
from distill_dagster.assets.views.training import training_metadata
from distill_dagster.store.manifest import Manifest
from distill_dagster.training.specs import TrainResult


def student_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of the student: its weights, its training, and the rows that it learned from."""
    result = manifest.read(TrainResult)
    return {
        **weights_view(manifest, result, result.dtype),
        **training_metadata(result),
        "dagster/row_count": result.counts.train_rows,
    }
