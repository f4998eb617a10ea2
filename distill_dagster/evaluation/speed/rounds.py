"""Who is timed when: every model in turns, in rounds that are close in time, so that load hits all of them alike.

    round 1   1 in flight: teacher baseline student, the same again …   8: …   32: …
    round 2   1 in flight: teacher student baseline, the same again …
    round 3   1 in flight: student teacher baseline, the same again …

A turn is taken in slices of a few prompts, and the models alternate from slice to slice. The clock speed of a core
changes within a second, and a turn at once would be fast or slow as a whole.

Every round asks all models the same prompts. Its size follows from what the warm-up took: as many prompts as let the
fewest rounds end within two thirds of `evaluation.speed.seconds`, but `FEWEST_PROMPTS` at least. A disturbed round is
followed by another one while that time lasts.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from distill_dagster.config import SpeedConfig
from distill_dagster.evaluation.speed.load import load_average
from distill_dagster.evaluation.speed.ratios import is_calm
from distill_dagster.evaluation.speed.specs import Round, Turn, joined
from distill_dagster.progress import Advance

FEWEST_PROMPTS = 4
PLANNED = 2 / 3  # of the time, for the fewest rounds; the rest is for others in place of disturbed ones
SLICE = 4  # prompts of a slice, or one group of those in flight
WAVES = (16, 8, 4, 2, 1)  # groups of requests in flight in a round, beside at least twice as many prompts one by one


class Contestant(Protocol):
    """A model that can be timed."""

    name: str
    is_sliced: bool  # False: it takes its turn at once

    def is_timed(self, concurrency: int) -> bool:
        """Whether it has a turn now with so many requests in flight."""
        ...

    def warm_up(self, concurrency: int) -> float | None:
        """Answer a prompt, or a group of those in flight, untimed; the seconds for it. None: it needs no warm-up."""
        ...

    def turn(self, prompts: Sequence[int], concurrency: int) -> Turn:
        """Answer the prompts of these positions, `concurrency` at a time."""
        ...


def time_rounds(contestants: Sequence[Contestant], prompts: int, config: SpeedConfig, advance: Advance) -> list[Round]:
    """Time the models on the first of `prompts` prompts; calls `advance` after each round, with 1 if it was calm."""
    warm = {level: sum(c.warm_up(level) or 0.0 for c in contestants) for level in config.concurrency}
    size, least = round_size(warm, prompts, config)
    asked = {level: slices(range(size), level, least) for level in config.concurrency}
    rounds, spent = list[Round](), 0.0
    while not _is_enough(rounds, spent, config):
        rounds.append(_round(order_of(contestants, len(rounds)), size, asked))
        spent += sum(turn.wall_s for turn in rounds[-1].turns)
        advance(int(is_undisturbed(rounds[-1])), lambda: _disturbed(rounds))
    return rounds


def round_size(warm: Mapping[int, float], most: int, config: SpeedConfig) -> tuple[int, int]:
    """How many prompts a round has, and how many groups of those in flight at least.

    `warm`: requests in flight -> seconds that all models together take for one such group.
    """
    for least in WAVES:
        for size in range(most, min(most, max(FEWEST_PROMPTS, 2 * least)) - 1, -1):
            seconds = sum(took * wave_count(size, level, least) for level, took in warm.items())
            if config.rounds * seconds <= PLANNED * config.seconds:
                return size, least
    return min(most, FEWEST_PROMPTS), WAVES[-1]


def order_of(contestants: Sequence[Contestant], number: int) -> list[Contestant]:
    """The order of a round: each begins one model later than the round before, and every second one runs backwards."""
    start = number % len(contestants)
    turned = [*contestants[start:], *contestants[:start]]
    return turned[::-1] if number % 2 else turned


def slices(prompts: Sequence[int], concurrency: int, least: int) -> list[list[int]]:
    """The prompts of each slice of a turn: a group of those in flight, or `SLICE` of them one after another."""
    if concurrency > 1:
        return waves(prompts, concurrency, least)
    return [list(prompts[start : start + SLICE]) for start in range(0, len(prompts), SLICE)]


def waves(prompts: Sequence[int], concurrency: int, least: int = 1) -> list[list[int]]:
    """The prompts in at least so many full groups of `concurrency`; what lacks is filled up from the beginning."""
    count = wave_count(len(prompts), concurrency, least)
    return [[prompts[(w * concurrency + i) % len(prompts)] for i in range(concurrency)] for w in range(count)]


def wave_count(prompts: int, concurrency: int, least: int) -> int:
    """How many groups `waves` makes; one after another, each prompt is a group."""
    count = -(-prompts // concurrency)
    return max(count, least) if concurrency > 1 else count


def _round(order: Sequence[Contestant], size: int, asked: Mapping[int, Sequence[Sequence[int]]]) -> Round:
    turns = [turn for level, parts in asked.items() for turn in _turns(order, level, parts)]
    return Round(order=[c.name for c in order], prompts=size, load_average=load_average(), turns=turns)


def _turns(order: Sequence[Contestant], level: int, parts: Sequence[Sequence[int]]) -> list[Turn]:
    """A turn of each model, slice by slice."""
    timed = [contestant for contestant in order if contestant.is_timed(level)]
    taken: dict[str, list[Turn]] = {contestant.name: [] for contestant in timed}
    for contestant in timed:
        if not contestant.is_sliced:
            taken[contestant.name].append(contestant.turn([prompt for part in parts for prompt in part], level))
    for part in parts:
        for contestant in filter(lambda one: one.is_sliced, timed):
            taken[contestant.name].append(contestant.turn(part, level))
    return [joined(found) for found in taken.values()]


def _disturbed(rounds: Sequence[Round]) -> str:
    """What the log says beside the number of calm rounds."""
    count = sum(not is_undisturbed(one) for one in rounds)
    return f"{count} disturbed" if count else ""


def is_undisturbed(one: Round) -> bool:
    """Whether the machine left every model alone in a round."""
    return all(map(is_calm, one.turns))


def _is_enough(rounds: Sequence[Round], spent: float, config: SpeedConfig) -> bool:
    """Whether enough rounds were calm, or the time is over; never before the fewest rounds."""
    if len(rounds) < config.rounds:
        return False
    calm = sum(map(is_undisturbed, rounds))
    return calm >= config.rounds or spent + spent / len(rounds) > config.seconds
