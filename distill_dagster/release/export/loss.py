"""What an export loses against the checkpoint: the difference of their scores on the same items, with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass

from distill_dagster.config import EvaluationConfig
from distill_dagster.evaluation.comparison import join_scores
from distill_dagster.release.difference import interval_of


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean scores of the checkpoint and of an export, and the 95 % interval of export - checkpoint."""

    checkpoint: float
    export: float
    low: float
    high: float
    items: int


def difference(
    checkpoint: Mapping[str, float], export: Mapping[str, float], evaluation: EvaluationConfig
) -> Difference:
    """Compare scores in [0, 1] by row id.

    Raises:
        DataError: the two were not scored on the same items.
    """
    scores = join_scores({"checkpoint": checkpoint, "export": export})  # (N, 2)
    found = interval_of(scores[:, 1] - scores[:, 0], resamples=evaluation.resamples, seed=evaluation.seed)
    before, after = scores.mean(axis=0)
    return Difference(float(before), float(after), found.low, found.high, found.items)
