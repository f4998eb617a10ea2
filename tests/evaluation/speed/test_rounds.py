"""The order of timing: turns in rounds, as many prompts and rounds as the time allows, and never fewer than wanted."""

import pytest

from distill_dagster.config import SpeedConfig
from distill_dagster.evaluation.speed.rounds import FEWEST_PROMPTS, round_size, time_rounds, waves
from testing.timed import Metronome

CONFIG = SpeedConfig(rounds=3, seconds=10, concurrency=[1, 8])


def timed(config=CONFIG, prompts=8, **slowdowns):
    """The rounds of three models, and their turns in order."""
    log = []
    models = [Metronome(name, 0.01, log, slowdowns.get(name, ())) for name in ("teacher", "baseline", "student")]
    return time_rounds(models, prompts, config, lambda done: None), log


def test_the_models_take_turns_in_an_order_that_changes_from_round_to_round():
    rounds, log = timed()
    assert [one.order for one in rounds] == [
        ["teacher", "baseline", "student"],
        ["teacher", "student", "baseline"],
        ["student", "teacher", "baseline"],
    ]
    assert log == [(name, level) for one in rounds for level in (1, 8) for name in one.order]
    assert all(one.turn(name, level) for one in rounds for level in (1, 8) for name in one.order)


def test_all_models_have_the_same_prompts_in_every_round():
    rounds, _ = timed(prompts=6)
    assert {one.prompts for one in rounds} == {6}
    assert {len(turn.latencies_ms) for one in rounds for turn in one.turns} == {6}


def test_a_disturbed_round_is_followed_by_another_one_while_the_time_lasts():
    rounds, _ = timed(teacher=[1.0, 2.0, 1.5, 1.0])  # the second turns of rounds 1 and 2 are disturbed
    assert len(rounds) == 5
    rounds, _ = timed(SpeedConfig(rounds=3, seconds=0.1, concurrency=[1, 8]), teacher=[2.0] * 100)
    assert len(rounds) == 3, "the time is over, and the fewest rounds are done"


def test_a_round_has_as_many_prompts_as_the_time_allows_and_a_few_at_least():
    alone = SpeedConfig(rounds=5, seconds=20, concurrency=[1])
    assert round_size(0.01, 32, alone) == 32
    assert round_size(0.2, 32, alone) == 20
    assert round_size(60, 32, alone) == FEWEST_PROMPTS
    assert round_size(60, 2, alone) == 2, "there are no more"
    assert round_size(0.2, 32, alone.model_copy(update={"concurrency": [1, 8]})) == 13


@pytest.mark.parametrize(
    ("concurrency", "expected"), [(1, [[5], [6], [7]]), (2, [[5, 6], [7, 5]]), (4, [[5, 6, 7, 5]])]
)
def test_each_wave_is_full(concurrency, expected):
    assert waves([5, 6, 7], concurrency) == expected
