"""The interval of a difference between two students that answered the same items: the one place that computes it.

The items are resampled as those of the retention are (evaluation/statistics.py), with the unseen item at -1 for the low
end and at +1 for the high end. Worked example, 400 items of which the challenger alone has 12 right and the champion
alone 9: value +0.0075, low -0.018, high +0.034.

Items with equal differences are resampled together. The weights of k items of a flat Dirichlet distribution sum up to a
gamma variable of shape k, so the intervals have the same distribution, and 0/1 scores need three draws a resample.
"""

from collections.abc import Mapping

import numpy as np

from distill_dagster.evaluation.comparison import join_scores
from distill_dagster.evaluation.statistics import Floats, high_end, low_end, with_unseen
from distill_dagster.release.specs import ScoreDifference

WORST, BEST = (-1.0,), (1.0,)


def difference_interval(
    challenger: Mapping[str, float], champion: Mapping[str, float], *, resamples: int, seed: int
) -> ScoreDifference:
    """Mean score of `challenger` minus that of `champion`, from scores in [0, 1] by row_id.

    Raises:
        DataError: the two were not scored on the same items, or on none.
    """
    scores = join_scores({"the challenger": challenger, "the champion": champion})  # (N, 2)
    return interval_of(scores[:, 0] - scores[:, 1], resamples=resamples, seed=seed)


def interval_of(differences: Floats, *, resamples: int, seed: int) -> ScoreDifference:
    """The same from the difference on each item (N,)."""
    values, counts = np.unique(differences, return_counts=True)
    weights = np.random.default_rng(seed).standard_gamma(counts, (resamples, len(counts)))
    means = weights @ values[:, None] / weights.sum(axis=1, keepdims=True)  # (resamples, 1)
    worst, best = (with_unseen(means, len(differences), unseen) for unseen in (WORST, BEST))
    return ScoreDifference(
        value=float(differences.mean()), low=low_end(worst), high=high_end(best), items=len(differences)
    )
