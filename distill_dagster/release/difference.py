"""The interval of a difference between two students that answered the same items: the one place that computes it.

It is that of the report (evaluation/differences.py): Tango's score interval for 0/1 scores without groups, else a
bootstrap of whole groups. Worked example: of 400 items the challenger alone has 12 right, and the champion alone 9:
value +0.0075, low -0.017, high +0.032.
"""

from collections.abc import Mapping

from distill_dagster.evaluation.differences import difference_of
from distill_dagster.evaluation.items import Groups, join_items
from distill_dagster.release.specs import ScoreDifference


def difference_interval(
    challenger: Mapping[str, float],
    champion: Mapping[str, float],
    groups: Groups | None = None,
    *,
    resamples: int,
    seed: int,
) -> ScoreDifference:
    """Mean score of `challenger` minus that of `champion`, from scores in [0, 1] by row_id.

    Raises:
        DataError: the two were not scored on the same items, or on none.
    """
    sample = join_items({"the challenger": challenger, "the champion": champion}, groups)
    found = difference_of(sample, resamples=resamples, seed=seed)
    return ScoreDifference(value=found.value, low=found.low, high=found.high, items=found.items)
