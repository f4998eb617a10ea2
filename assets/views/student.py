"""What people read in the UI about the distilled student."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import table_of
from distill_dagster.assets.views.teacher import weights_view
from distill_dagster.assets.views.training import training_metadata
from distill_dagster.store.manifest import Manifest
from distill_dagster.training.specs import TrainResult

ROUNDS = {
    "round": "The round; 0 is the cold start.",
    "rollouts": "The student's samples.",
    "stop": "Rollouts that ended with an end token.",
    "length": "Rollouts that reached the longest length.",
    "repetition": "Rollouts that got into a loop.",
    "train_rows": "Rows of the training.",
    "rollout_rows": "The rollouts among them.",
    "steps": "Optimizer steps.",
    "best_validation_loss": "The lowest validation loss.",
    "seconds": "Sampling, reading and training together.",
    "gpu_seconds": "The same on a GPU.",
}


def student_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of the student: its weights, its training, and the rows that it learned from."""
    result = manifest.read(TrainResult)
    return {
        **weights_view(manifest, result, result.dtype),
        **training_metadata(result),
        "dagster/row_count": result.counts.train_rows,
        **({"rounds": _rounds(result)} if result.rounds else {}),
    }


def _rounds(result: TrainResult) -> dg.TableMetadataValue:
    """The rounds of on-policy training, one line each."""
    return table_of([record.model_dump() for record in result.rounds], ROUNDS)
