"""What an export loses against the checkpoint: the difference of their scores on the same items, with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass

from distill_dagster.config import EvaluationConfig
from distill_dagster.evaluation.differences import difference_of
from distill_dagster.evaluation.items import Groups, join_items


@dataclass(frozen=True, slots=True)
class ExportLoss:
    """Mean scores of the checkpoint and of an export, and the 95 % interval of export - checkpoint."""

    checkpoint: float
    export: float
    low: float
    high: float
    items: int


def loss_of(
    checkpoint: Mapping[str, float],
    export: Mapping[str, float],
    evaluation: EvaluationConfig,
    groups: Groups | None = None,
) -> ExportLoss:
    """Compare scores in [0, 1] by row id.

    Raises:
        DataError: the two were not scored on the same items.
    """
    sample = join_items({"export": export, "checkpoint": checkpoint}, groups)
    found = difference_of(sample, resamples=evaluation.resamples, seed=evaluation.seed)
    after, before = sample.scores.mean(axis=0).tolist()
    return ExportLoss(before, after, found.low, found.high, found.items)
