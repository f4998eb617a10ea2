"""Settings of the training that it refuses only when it begins: a package that is missing, adapters that do not fit."""

from collections.abc import Iterator
from typing import Any

from distill_dagster.errors import TrainingError
from distill_dagster.models.outline import without_weights
from distill_dagster.training.pairing.shapes import student_config
from distill_dagster.training.pairing.values import Pairing


def setting_problems(pairing: Pairing) -> Iterator[str]:
    """Why the student's training could not begin.

    Raises:
        ModelError: a model cannot be read.
    """
    from distill_dagster.training.optimizers import optimizer_arguments

    training = pairing.training
    try:
        optimizer_arguments(training)
        if training.lora and (pairing.student or pairing.init):
            _require_adapters(training, student_config(pairing))
    except TrainingError as e:
        yield f"`student.training`: {e}"


def _require_adapters(training: Any, config: Any) -> None:
    """Raise TrainingError if the adapters do not fit a model of this config."""
    import torch

    from distill_dagster.training.adapter import attach

    model = without_weights(config)
    with torch.device("meta"):
        attach(model, training.lora, training.seed)
