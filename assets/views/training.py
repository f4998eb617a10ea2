"""What people read about a training run in the UI: the loss curve as a picture, and what it cost."""

from pathlib import Path
from typing import Any

import dagster as dg

from distill_dagster.training.record import StepLoss, TrainingRun, ValidationLoss


def training_metadata(run: TrainingRun | None) -> dict[str, Any]:
    """Metadata of a fit or a training; empty for a model that was pinned or built without one."""
    if run is None:
        return {}
    from distill_dagster.report.sparkline import sparkline

    losses = [point.loss for point in run.history if isinstance(point, StepLoss)]
    validation = [point.validation_loss for point in run.history if isinstance(point, ValidationLoss)]
    curves = {"loss_curve": losses, "validation_loss_curve": validation}
    best = run.best_validation_loss
    return {
        **{name: dg.MetadataValue.md(sparkline(values)) for name, values in curves.items() if len(values) > 1},
        **({"final_loss": losses[-1]} if losses else {}),
        **({"best_validation_loss": best} if best is not None else {}),
        "training_config": dg.MetadataValue.json(run.training),
        **({"trainable_parameters": run.trainable_parameters} if run.trainable_parameters else {}),
        "kept_weights": run.kept,
        "training_tokens_per_second": run.tokens_per_second,
        "resumed_from_step": run.resumed_from_step,
        **({"stopped_early": run.stopped.words} if run.stopped else {}),
    }


def curves_metadata(folder: Path) -> dict[str, Any]:
    """Where TensorBoard finds the curves of a training, if they are still there."""
    return {"tensorboard": dg.MetadataValue.path(str(folder))} if folder.is_dir() else {}
