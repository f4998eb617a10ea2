"""The order of timing: turns in rounds, as many prompts and rounds as the time allows, and never fewer than wanted."""

import pytest

from distill_dagster.config import SpeedConfig
from distill_dagster.evaluation.speed.rounds import FEWEST_PROMPTS, round_size, time_rounds, waves
from distill_dagster.evaluation.speed.specs import joined
from testing.timed import Metronome, made_turn

CONFIG = SpeedConfig(rounds=3, seconds=30, concurrency=[1, 8])


def timed(config=CONFIG, prompts=8, is_sliced=False, advance=lambda units, note: None, **slowdowns):
    """The rounds of three models, and their turns in order."""
    log = []
    names = ("teacher", "baseline", "student")
    models = [Metronome(name, 0.01, log, slowdowns.get(name, ()), is_sliced) for name in names]
    return time_rounds(models, prompts, config, advance), log


def test_the_models_take_turns_in_an_order_that_changes_from_round_to_round():
    rounds, log = timed()
    assert [one.order for one in rounds] == [
        ["teacher", "baseline", "student"],
        ["teacher", "student", "baseline"],
        ["student", "teacher", "baseline"],
    ]
    assert log == [(name, level) for one in rounds for level in (1, 8) for name in one.order]
    assert all(one.turn(name, level) for one in rounds for level in (1, 8) for name in one.order)


def test_the_models_alternate_within_a_round_from_slice_to_slice():
    rounds, log = timed(prompts=6, is_sliced=True)
    order = rounds[0].order
    assert log[: 2 * 3 + 4 * 3] == [*((name, 1) for name in order)] * 2 + [*((name, 8) for name in order)] * 4
    assert [(turn.model, turn.concurrency) for turn in rounds[0].turns] == [
        (n, level) for level in (1, 8) for n in order
    ]


def test_the_slices_of_a_turn_are_one_turn():
    parts = [made_turn("student", 10, requests=4), made_turn("student", 20, slowdown=2.0, requests=2)]
    whole = joined([part.model_copy(update={"others_s": 0.01}) for part in parts])
    assert (len(whole.latencies_ms), len(whole.first_token_ms), whole.tokens, whole.prompt_tokens) == (6, 6, 48, 120)
    assert (whole.wall_s, whole.cpu_s, whole.waited_s) == pytest.approx((0.08, 0.06, 0.02))
    assert whole.others_s == pytest.approx(0.02)
    assert joined(parts).others_s is None


def test_all_models_have_the_same_prompts_in_every_round():
    rounds, _ = timed(prompts=6)
    assert {one.prompts for one in rounds} == {6}
    answers = {(turn.concurrency, len(turn.latencies_ms)) for one in rounds for turn in one.turns}
    assert answers == {(1, 6), (8, 128)}


def test_a_disturbed_round_is_followed_by_another_one_while_the_time_lasts():
    rounds, _ = timed(teacher=[1.0, 2.0, 1.5, 1.0])  # the second turns of rounds 1 and 2 are disturbed
    assert len(rounds) == 5
    rounds, _ = timed(SpeedConfig(rounds=3, seconds=0.1, concurrency=[1, 8]), teacher=[2.0] * 100)
    assert len(rounds) == 3, "the time is over, and the fewest rounds are done"


def test_the_progress_counts_calm_rounds_and_never_more_than_are_wanted():
    said = []
    timed(advance=lambda units, note: said.append((units, note())), teacher=[1.0, 2.0, 1.5, 1.0])
    assert said == [(0, "1 disturbed"), (0, "2 disturbed"), (1, "2 disturbed"), (1, "2 disturbed"), (1, "2 disturbed")]


def test_a_round_has_as_many_prompts_as_the_time_allows_and_a_few_at_least():
    alone = SpeedConfig(rounds=5, seconds=30, concurrency=[1])
    assert round_size({1: 0.01}, 32, alone) == (32, 16)
    assert round_size({1: 0.2}, 32, alone) == (20, 8)
    assert round_size({1: 60.0}, 32, alone) == (FEWEST_PROMPTS, 1)
    assert round_size({1: 60.0}, 2, alone) == (2, 1), "there are no more"
    assert round_size({1: 0.2, 8: 0.4}, 32, alone) == (12, 4), "12 alone and 4 groups of 8"
    assert round_size({1: 0.2, 8: 1.5}, 32, alone) == (5, 2), "there is no time for 4 groups"


@pytest.mark.parametrize(
    ("concurrency", "least", "expected"),
    [(1, 1, [[5], [6], [7]]), (2, 1, [[5, 6], [7, 5]]), (4, 1, [[5, 6, 7, 5]]), (4, 2, [[5, 6, 7, 5], [6, 7, 5, 6]])],
)
def test_each_wave_is_full(concurrency, least, expected):
    assert waves([5, 6, 7], concurrency, least) == expected
