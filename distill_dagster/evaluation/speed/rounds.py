"""Who is timed when: every model in turns, in rounds that are close in time, so that load hits all of them alike.

    round 1   1 in flight: teacher baseline student    8: teacher baseline student    32: teacher baseline student
    round 2   1 in flight: teacher student baseline    …
    round 3   1 in flight: student teacher baseline    …

Every round asks all models the same prompts. Its size follows from what the warm-up took: as many prompts as let the
fewest rounds end within `evaluation.speed.seconds`, but `FEWEST_PROMPTS` at least. A disturbed round is followed by
another one while that time lasts.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from distill_dagster.config import SpeedConfig
from distill_dagster.evaluation.speed.load import load_average
from distill_dagster.evaluation.speed.ratios import is_calm
from distill_dagster.evaluation.speed.specs import Round, Turn

FEWEST_PROMPTS = 4
IN_A_BATCH = 0.5  # the time of a prompt among others, as a share of its time alone; only for sizing


class Contestant(Protocol):
    """A model that can be timed."""

    name: str

    def is_timed(self, concurrency: int) -> bool:
        """Whether it has a turn now with so many requests in flight."""
        ...

    def warm_up(self, concurrency: int) -> float | None:
        """Answer some prompts untimed; seconds for one prompt. None: it needs no warm-up."""
        ...

    def turn(self, prompts: Sequence[int], concurrency: int) -> Turn:
        """Answer the prompts of these positions, `concurrency` at a time."""
        ...


def time_rounds(
    contestants: Sequence[Contestant], prompts: int, config: SpeedConfig, advance: Callable[[int], None]
) -> list[Round]:
    """Time the models on the first of `prompts` prompts; calls `advance(1)` after each round."""
    alone = [contestant.warm_up(1) or 0.0 for contestant in contestants]
    for contestant in contestants:
        for concurrency in config.concurrency[1:]:
            contestant.warm_up(concurrency)
    size = round_size(sum(alone), prompts, config)
    asked, rounds, spent = list(range(size)), list[Round](), 0.0
    while not _is_enough(rounds, spent, config):
        rounds.append(_round(order_of(contestants, len(rounds)), asked, config.concurrency))
        spent += sum(turn.wall_s for turn in rounds[-1].turns)
        advance(1)
    return rounds


def round_size(seconds_alone: float, most: int, config: SpeedConfig) -> int:
    """How many prompts a round has, if all models together take `seconds_alone` for one prompt."""
    for size in range(most, FEWEST_PROMPTS, -1):
        batches = sum(IN_A_BATCH * max(size, concurrency) for concurrency in config.concurrency[1:])
        if config.rounds * seconds_alone * (size + batches) <= config.seconds:
            return size
    return min(most, FEWEST_PROMPTS)


def order_of(contestants: Sequence[Contestant], number: int) -> list[Contestant]:
    """The order of a round: each begins one model later than the round before, and every second one runs backwards."""
    start = number % len(contestants)
    turned = [*contestants[start:], *contestants[:start]]
    return turned[::-1] if number % 2 else turned


def waves(prompts: Sequence[int], concurrency: int) -> list[list[int]]:
    """The prompts in full groups of `concurrency`; the last one is filled up from the beginning."""
    count = -(-len(prompts) // concurrency)
    return [[prompts[(w * concurrency + i) % len(prompts)] for i in range(concurrency)] for w in range(count)]


def _round(order: Sequence[Contestant], asked: Sequence[int], levels: Sequence[int]) -> Round:
    turns = [c.turn(asked, level) for level in levels for c in order if c.is_timed(level)]
    return Round(order=[c.name for c in order], prompts=len(asked), load_average=load_average(), turns=turns)


def _is_enough(rounds: Sequence[Round], spent: float, config: SpeedConfig) -> bool:
    """Whether enough rounds were calm, or the time is over; never before the fewest rounds."""
    if len(rounds) < config.rounds:
        return False
    calm = sum(all(map(is_calm, r.turns)) for r in rounds)
    return calm >= config.rounds or spent + spent / len(rounds) > config.seconds
