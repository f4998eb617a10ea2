"""The interval of a difference: its ends, and that equal items drawn together change nothing."""

import numpy as np
import pytest

from distill_dagster.errors import DataError
from distill_dagster.evaluation.statistics import high_end, low_end, resampled_means, with_unseen
from distill_dagster.release.difference import difference_interval, interval_of

HOW = {"resamples": 20_000, "seed": 0}


def scores(values) -> dict[str, float]:
    return {f"q{i}": float(value) for i, value in enumerate(values)}


def test_the_worked_example():
    champion, challenger = np.ones(400), np.ones(400)
    champion[:12], challenger[12:21] = 0, 0
    found = difference_interval(scores(challenger), scores(champion), **HOW)
    assert (found.value, found.items) == (0.0075, 400)
    assert (round(found.low, 3), round(found.high, 3)) == (-0.018, 0.034)
    assert str(found).startswith("+0.8 points (95 % interval -1.8 to +3.4, 400 items)")


def test_equal_students_differ_by_at_most_what_the_items_can_show():
    """Of n equal items, up to a share of 1 - 0.025^(1/n) of all items may still be of another kind."""
    found = difference_interval(scores([1] * 200), scores([1] * 200), **HOW)
    assert found.low == pytest.approx(0.025 ** (1 / 200) - 1, abs=1e-4)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 200), abs=1e-4)


def test_it_is_the_interval_of_items_that_are_drawn_one_by_one():
    differences = np.random.default_rng(1).choice([-1, -0.5, 0, 0.25, 1], 150, p=[0.1, 0.1, 0.5, 0.1, 0.2])
    means = resampled_means(differences[:, None], 20_000, 7)
    found = interval_of(differences, **HOW)
    assert found.low == pytest.approx(low_end(with_unseen(means, 150, (-1.0,))), abs=0.004)
    assert found.high == pytest.approx(high_end(with_unseen(means, 150, (1.0,))), abs=0.004)


def test_it_covers_the_true_difference():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(400):
        found = interval_of(rng.choice([-1.0, 0.0, 1.0], 100, p=[0.1, 0.83, 0.07]), resamples=1000, seed=0)
        covered += found.low <= -0.03 <= found.high
    assert covered >= 0.93 * 400


def test_students_that_answered_other_items_have_no_difference():
    with pytest.raises(DataError, match="the challenger and the champion were not scored on the same items"):
        difference_interval(scores([1, 1]), scores([1]), **HOW)
