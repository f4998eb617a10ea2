"""What people read in the UI about a sweep: its best trials, and what the search cost."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import schema_of, table_of, usage_of
from distill_dagster.assets.views.training import training_metadata
from distill_dagster.config.sweep import in_words
from distill_dagster.store.manifest import Manifest
from distill_dagster.tuning.specs import SweepResult, Trial

SHOWN = 20
COLUMNS = {
    "trial": "The trial's number; the first one is 0.",
    "outcome": "How it ended: complete, pruned or diverged.",
    "settings": "The settings that were searched.",
    "validation_loss": "The validation loss of the weights that it kept.",
    "steps": "The optimizer steps that it took.",
    "seconds": "The time that its worker took.",
}


def sweep_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of the sweep: the settings that it found, and its trials from the best on."""
    result = manifest.read(SweepResult)
    return {
        **usage_of(result, result.student.dtype),
        **training_metadata(result.student),
        "best_trial": result.best,
        "best_settings": dg.MetadataValue.json(result.point),
        "trials": table_of([_record(trial) for trial in result.trials[:SHOWN]], COLUMNS),
        "dagster/row_count": result.counts.trials,
        "dagster/column_schema": schema_of("student_sweep"),
    }


def _record(trial: Trial) -> dict[str, Any]:
    loss = "" if trial.validation_loss is None else f"{trial.validation_loss:.4g}"
    same = "" if trial.same_as is None else f", as trial {trial.same_as}"
    return {
        "trial": trial.number,
        "outcome": f"{trial.outcome}{same}",
        "settings": in_words(trial.point),
        "validation_loss": loss,
        "steps": trial.steps,
        "seconds": trial.seconds,
    }
