"""The trials of a sweep as a table, `trials.parquet`, and which of them is the best."""

import json
from collections.abc import Sequence
from pathlib import Path

from distill_dagster.store import parquet, schemas
from distill_dagster.tuning.specs import Trial


def by_loss(trials: Sequence[Trial]) -> list[Trial]:
    """The trials from the lowest validation loss on; those without one follow, in the order of their numbers."""
    return sorted(trials, key=lambda trial: (trial.validation_loss is None, trial.validation_loss or 0, trial.number))


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the lowest validation loss, the first of equal ones; None if none is complete."""
    return next((trial for trial in by_loss(trials) if trial.validation_loss is not None), None)


def write_trials(path: Path, trials: Sequence[Trial]) -> None:
    """Write the table, in the order of the numbers."""
    rows = [{**trial.model_dump(), "point": json.dumps(trial.point, allow_nan=False)} for trial in trials]
    parquet.write_table(path, rows, schemas.TRIAL)


def read_trials(path: Path) -> list[Trial]:
    """The trials in a table."""
    return [Trial.model_validate({**row, "point": json.loads(row["point"])}) for row in parquet.read_table(path)]
