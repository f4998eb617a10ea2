"""How the student was trained: the objective, every setting, and how it ended, for the report and the model card."""

from collections.abc import Iterator, Mapping
from typing import Any

from distill_dagster.config.signals import OBJECTIVES
from distill_dagster.training.specs import TrainResult

Row = tuple[str, str]


def hyperparameters(result: TrainResult) -> list[Row]:
    """Lines of (setting, value)."""
    return [*_objective(result), *_found(result), *_how_it_ended(result)]


def _objective(result: TrainResult) -> Iterator[Row]:
    yield "objective", str(result.training.get("loss", ""))
    yield "signal", str(result.training.get("signal", ""))
    for name, value in result.training.items():
        if name not in (*OBJECTIVES, "loss") and value is not None:
            yield from _settings(name, value)


def _settings(name: str, value: Any) -> Iterator[Row]:
    """A setting, or those of a section under `section.field`."""
    if isinstance(value, Mapping):
        for inner, found in value.items():
            yield from _settings(f"{name}.{inner}", found)
    else:
        yield name, str(value)


def _found(result: TrainResult) -> Iterator[Row]:
    for name, value in result.found.items():
        yield f"found by the sweep: {name}", str(value)


def _how_it_ended(result: TrainResult) -> Iterator[Row]:
    yield "precision", result.dtype
    yield "trained weights", f"{result.trainable_parameters:,}" if result.trainable_parameters else "not recorded"
    yield "steps", f"{result.steps:,}"
    if result.best_validation_loss is not None:
        yield "lowest validation loss", f"{result.best_validation_loss:.4g}"
    yield "kept weights", result.kept
    if result.stopped:
        yield "stopped early", result.stopped.words
