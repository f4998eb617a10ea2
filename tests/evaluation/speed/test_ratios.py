"""A ratio has an interval over rounds, or is withheld with its reason."""

import math

import numpy as np
import pytest

from distill_dagster.evaluation.speed.ratios import compare, mean_ratio
from distill_dagster.evaluation.speed.specs import Turn
from testing.timed import made_rounds, made_turn

FOUR = [{"teacher": 40 * s, "student": 10 * s} for s in (1.0, 1.9, 1.1, 0.8, 1.3)]  # both are slowed down alike


def ratio(rounds, measure="latency", least=5, concurrency=1):
    return compare(rounds, "student", "teacher", measure, concurrency, least=least)


def test_what_slows_both_models_alike_leaves_the_ratio_as_it_is():
    found = ratio(made_rounds(FOUR))
    assert (found.value, found.low, found.high) == pytest.approx((4, 4, 4))
    assert (found.rounds, found.withheld) == (5, None)
    assert ratio(made_rounds(FOUR), "tokens_per_second").value == pytest.approx(4)
    assert ratio(made_rounds(FOUR), "first_token").value == pytest.approx(4)
    assert ratio(made_rounds(FOUR), "cost").value == pytest.approx(4)


def test_a_slower_model_has_a_ratio_below_1():
    assert ratio(made_rounds([{"teacher": 10, "student": 40}] * 5)).value == pytest.approx(1 / 4)


def test_the_interval_is_students_t_interval_of_the_logarithms():
    value, low, high = mean_ratio([2.0, 2.2, 2.1, 1.9])
    logs = np.log([2.0, 2.2, 2.1, 1.9])
    half = 3.182446 * logs.std(ddof=1) / 2  # t(0.975, 3 degrees of freedom), from a table
    assert (value, low, high) == pytest.approx([math.exp(logs.mean() + s * half) for s in (0, -1, 1)], rel=1e-6)


def test_the_interval_holds_the_true_ratio_in_about_95_of_100_cases():
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):
        _, low, high = mean_ratio(list(3 * np.exp(rng.normal(0, 0.05, 5))))
        held += low <= 3 <= high
    assert 930 <= held <= 970


def test_rounds_that_other_work_disturbed_do_not_count():
    latencies = [*FOUR, {"teacher": 400, "student": 10}]
    found = ratio(made_rounds(latencies, slowdowns=[1, 1.29, 1, 1, 1, 1.31]))
    assert found.value == pytest.approx(4)
    assert found.rounds == 5


def test_a_ratio_of_too_few_calm_rounds_is_withheld():
    found = ratio(made_rounds(FOUR, slowdowns=[1, 1, 1.4, 1.9, 1]))
    assert (found.value, found.low, found.high, found.rounds) == (None, None, None, 3)
    assert found.withheld == (
        "the machine did other work: wall time over CPU time was above 1.3 in 2 of 5 rounds (at most 1.90), and 5 calm "
        "rounds are wanted"
    )


def test_a_ratio_whose_rounds_differ_is_withheld():
    close = [{"teacher": 40 * s, "student": 10} for s in (1.0, 1.05, 0.9, 1.0, 1.0)]
    assert ratio(made_rounds(close)).withheld is None
    apart = [{"teacher": 40 * s, "student": 10} for s in (1.0, 1.15, 0.9, 1.0, 1.0)]
    assert ratio(made_rounds(apart)).withheld == "the rounds differ by 25%: from 3.60 to 4.60 times"


def test_over_a_network_a_ratio_whose_rounds_differ_is_not_withheld():
    apart = made_rounds([{"teacher": 40 * s, "student": 10} for s in (1.0, 2.0, 0.7, 1.0, 1.0)])
    found = compare(apart, "student", "teacher", "latency", 1, least=5, includes_network=True)
    assert found.low < 3 < found.value < 6 < found.high


def test_a_ratio_of_what_was_not_timed_is_withheld():
    assert ratio(made_rounds([{"student": 10}] * 5)).withheld == "the two were not timed together"
    assert ratio(made_rounds(FOUR), concurrency=8).withheld == "the two were not timed together"
    assert ratio(made_rounds(FOUR[:3])).withheld == "3 rounds were timed, and 5 are wanted"
    rounds = made_rounds(FOUR)
    for one in rounds:
        for turn in one.turns:
            turn.first_token_ms.clear()
    assert ratio(rounds, "first_token").withheld == "it was not measured"


@pytest.mark.parametrize(
    ("turn", "slowdown"),
    [
        ({"wall_s": 1.0, "cpu_s": 1.8, "waited_s": 0.0}, 1.0),  # two threads; one sleeps a little
        ({"wall_s": 2.0, "cpu_s": 1.8, "waited_s": 1.8}, 2.0),  # both share their core with other work
        ({"wall_s": 2.0, "cpu_s": 1.0, "waited_s": None}, 2.0),  # the system does not count the waiting
        ({"wall_s": 1.0, "cpu_s": 1.2, "waited_s": 0.9, "others_s": 0.06}, 1.05),  # its threads wait for each other
        ({"wall_s": 1.0, "cpu_s": 1.2, "waited_s": 0.9, "others_s": -0.02}, 1.0),
        ({"wall_s": 2.0, "cpu_s": 1.8, "waited_s": 1.8, "others_s": 2.1}, 2.0),
        ({"wall_s": 1.0, "cpu_s": 1.8, "waited_s": None}, 1.0),
        ({"wall_s": 1.0, "cpu_s": None, "waited_s": None}, None),  # behind an endpoint
    ],
)
def test_the_slowdown_is_wall_over_cpu_time_of_threads_that_were_ready(turn, slowdown):
    made = made_turn("student", 10).model_copy(update=turn)
    assert Turn.model_validate(made.model_dump()).slowdown == slowdown
