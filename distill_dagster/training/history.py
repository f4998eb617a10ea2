"""The losses of a training: all of them in history.json, at most 100 in the manifest.

[{"step": 10, "loss": 2.91, "learning_rate": 0.0004, "gradient_norm": 1.7, "tokens_per_second": 10400.0}, …,
 {"step": 80, "validation_loss": 1.2, "learning_rate": …}, …]
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from distill_dagster.store import files
from distill_dagster.training.record import LossPoint, StepLoss, TrainingRun, ValidationLoss

MOST_POINTS = 100


def history_of(log: Iterable[Mapping[str, float]]) -> list[LossPoint]:
    """The losses in a Trainer's `log_history`, each with the learning rate that was logged last."""
    rate = 0.0
    history: list[LossPoint] = []
    for entry in log:
        rate = entry.get("learning_rate", rate)
        if point := point_of(entry, int(entry["step"]), rate):
            history.append(point)
    return history


def point_of(entry: Mapping[str, float], step: int, learning_rate: float) -> LossPoint | None:
    """The point of one entry of a Trainer's log, or None if it has no loss."""
    if "loss" in entry:
        speed = {name: entry.get(name) for name in ("tokens_per_second", "mfu")}
        norm = entry.get("grad_norm", math.nan)
        return StepLoss(
            step=step,
            loss=entry["loss"],
            learning_rate=learning_rate,
            gradient_norm=norm if math.isfinite(norm) else None,
            **speed,
        )
    if "eval_loss" in entry:
        return ValidationLoss(step=step, validation_loss=entry["eval_loss"], learning_rate=learning_rate)
    return None


def write_history(out: Path, history: Sequence[LossPoint]) -> None:
    """Write every point into `out/history.json`."""
    points = [point.model_dump() for point in history]
    (out / files.HISTORY_FILE).write_text(json.dumps(points, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def thinned(run: TrainingRun) -> TrainingRun:
    """The run with at most `MOST_POINTS` points of its history, for the manifest."""
    return run.model_copy(update={"history": thin(run.history)})


def thin(history: Sequence[LossPoint], most: int = MOST_POINTS) -> list[LossPoint]:
    """At most `most` points: every validation loss that fits, and training losses evenly spaced between them."""
    validation = [point for point in history if isinstance(point, ValidationLoss)][-most:]
    losses = [point for point in history if isinstance(point, StepLoss)]
    room = most - len(validation)
    chosen = [losses[i * len(losses) // room] for i in range(room)] if len(losses) > room else losses
    return sorted([*validation, *chosen], key=lambda point: point.step)
