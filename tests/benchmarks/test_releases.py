"""The simulation of releases, over few series, and the draws that it uses."""

import numpy as np
import pytest

from benchmarks.releases import CELLS, RULES, SHARED, answer, simulate

pytestmark = pytest.mark.slow


def test_students_have_their_true_accuracy_and_share_items():
    rng = np.random.default_rng(3)
    shared = np.sqrt(SHARED) * rng.standard_normal((40, 5_000), dtype=np.float32)
    first, second = (answer(shared, np.full(40, 0.88), rng) for _ in range(2))
    assert first.mean() == pytest.approx(0.88, abs=0.01)
    assert (first != second).mean() == pytest.approx(0.10, abs=0.01)


def test_the_rule_lets_hardly_any_worse_student_through_and_a_naive_test_most():
    figures = {name: simulate(CELLS["decline_1000"], passes, series=60) for name, passes in RULES.items()}
    assert figures["rule"]["worse_passed_percent"] < 5
    assert figures["rule"]["much_worse_passed_percent"] < 1
    assert figures["naive"]["worse_passed_percent"] > 50
    assert figures["naive"]["ends_at_percent"] < 85 < figures["rule"]["ends_at_percent"]


def test_only_the_first_release_stops_many_small_losses():
    creep = CELLS["creep_10000"]
    margin, alone = (simulate(creep, RULES[name], series=10)["ends_at_percent"] for name in ("margin", "alone"))
    assert alone < 87 < margin


def test_many_items_do_not_let_slightly_worse_students_through():
    creep = CELLS["creep_10000"]
    rule, margin = (simulate(creep, RULES[name], series=10)["worse_passed_percent"] for name in ("rule", "margin"))
    assert rule < 5 < margin
