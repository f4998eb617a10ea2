"""Compares two models round by round, and withholds a ratio that the machine's load has made unsure.

A round gives one ratio: the two turns came one after the other, on the same prompts. The estimate is the geometric mean
over the rounds, and the interval is Student's t for the mean of the rounds' logarithms (95 %).

    round      1     2     3     4     5
    teacher   10.9  11.0  12.1  10.8  10.9 ms
    student    4.7   4.7   5.3   4.6   4.8 ms       2.31 (2.24–2.38)

A round counts if no thread waited for long: the slowdown of both turns is at most `MOST_SLOWDOWN`. The ratio is
withheld if fewer rounds count than are wanted, or if their ratios differ by more than `MOST_SPREAD`. Times over a
network vary with every request, so there the interval alone says how sure the ratio is.
"""

import math
from collections.abc import Callable, Sequence

from distill_dagster.evaluation.speed.specs import Measure, Round, TimedRatio, Turn

MOST_SLOWDOWN = 1.3  # wall time over CPU time, adjusted to the threads
MOST_SPREAD = 0.2  # (largest - smallest) / median of the rounds' ratios
CONFIDENCE = 0.95
LARGER_IS_BETTER = ("tokens_per_second", "answers_per_second")

Value = Callable[[Turn], float | None]


def is_calm(turn: Turn) -> bool:
    """Whether the machine left the model alone while it had its turn."""
    return turn.slowdown is None or turn.slowdown <= MOST_SLOWDOWN


def compare(
    rounds: Sequence[Round],
    model: str,
    against: str,
    measure: Measure,
    concurrency: int,
    *,
    least: int,
    values: tuple[Value, Value] | None = None,
    includes_network: bool = False,
) -> TimedRatio:
    """How many times better `model` is than `against`; `least` rounds must count.

    `values` are the figures of a turn of `model` and of `against`, in place of `Turn.value`.
    """
    ours, theirs = values or ((lambda turn: turn.value(measure)),) * 2
    pairs = [(r.turn(model, concurrency), r.turn(against, concurrency)) for r in rounds]
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    calm = [(one, other) for one, other in both if is_calm(one) and is_calm(other)]
    measured = [(ours(one), theirs(other)) for one, other in calm]
    known = [(one, other) for one, other in measured if one and other]
    found = [one / other if measure in LARGER_IS_BETTER else other / one for one, other in known]
    reason = _withheld(both, calm, found, least, MOST_SPREAD if not includes_network else math.inf)
    value, low, high = (None, None, None) if reason else mean_ratio(found)
    enough = len(found) >= least
    return TimedRatio(
        model=model,
        against=against,
        measure=measure,
        concurrency=concurrency,
        value=value,
        low=low,
        high=high,
        rounds=len(found),
        smallest=min(found) if enough else None,
        largest=max(found) if enough else None,
        withheld=reason,
        includes_network=includes_network,
    )


def _withheld(
    both: Sequence[tuple[Turn, Turn]],
    calm: Sequence[tuple[Turn, Turn]],
    found: Sequence[float],
    least: int,
    most_spread: float,
) -> str | None:
    """Why there is no ratio; None if there is one."""
    if not both:
        return "the two were not timed together"
    if len(calm) < least:
        most = max(turn.slowdown or 0.0 for pair in both for turn in pair)
        return (
            f"the machine did other work: wall time over CPU time was above {MOST_SLOWDOWN} in {len(both) - len(calm)} "
            f"of {len(both)} rounds (at most {most:.2f}), and {least} calm rounds are wanted"
            if len(calm) < len(both)
            else f"{len(both)} rounds were timed, and {least} are wanted"
        )
    if len(found) < least:
        return "it was not measured"
    spread = (max(found) - min(found)) / sorted(found)[len(found) // 2]
    if spread > most_spread:
        return f"the rounds differ by {spread:.0%}: from {min(found):.2f} to {max(found):.2f} times"
    return None


def mean_ratio(found: Sequence[float]) -> tuple[float, float, float]:
    """The geometric mean of at least two ratios and the ends of its 95 % interval."""
    from scipy.stats import t

    logs, n = [math.log(ratio) for ratio in found], len(found)
    mean = math.fsum(logs) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in logs) / (n - 1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / math.sqrt(n)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)
