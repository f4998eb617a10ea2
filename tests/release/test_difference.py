"""The interval of a difference between two students is that of the report, with groups too."""

import numpy as np
import pytest

from distill_dagster.errors import DataError
from distill_dagster.evaluation.differences import difference
from distill_dagster.release.difference import difference_interval

HOW = {"resamples": 20_000, "seed": 0}


def scores(values) -> dict[str, float]:
    return {f"q{i}": float(value) for i, value in enumerate(values)}


def test_the_worked_example():
    champion, challenger = np.ones(400), np.ones(400)
    champion[:12], challenger[12:21] = 0, 0
    found = difference_interval(scores(challenger), scores(champion), **HOW)
    assert (found.value, found.items) == (0.0075, 400)
    assert (round(found.low, 3), round(found.high, 3)) == (-0.017, 0.032)
    assert str(found).startswith("+0.8 points (95 % interval -1.7 to +3.2, 400 items)")


def test_it_is_the_interval_of_the_report():
    first, second = scores([1, 1, 0, 1, 0.5] * 30), scores([1, 0, 0, 1, 0.25] * 30)
    groups = {name: str(i // 5) for i, name in enumerate(first)}
    for how in ({}, {"groups": groups}):
        found, reported = difference_interval(first, second, **how, **HOW), difference(first, second, **how, **HOW)
        assert (found.value, found.low, found.high) == (reported.value, reported.low, reported.high)
    assert difference_interval(first, second, groups, **HOW).low < difference_interval(first, second, **HOW).low


def test_students_that_answered_other_items_have_no_difference():
    with pytest.raises(DataError, match="the challenger and the champion were not scored on the same items"):
        difference_interval(scores([1, 1]), scores([1]), **HOW)
