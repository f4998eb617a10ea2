"""What people read about the distilled student."""

from typing import Any

from distill_dagster.assets.views.teacher import model_view
from distill_dagster.store.manifest import Manifest


def student_view(manifest: Manifest) -> dict[str, Any]:
    return {
        **model_view(manifest),
        "dagster/row_count": manifest.counts["train_rows"],
    }
