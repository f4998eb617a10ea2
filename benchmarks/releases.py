"""Simulates how often the release rule lets a worse student replace a better one, and compares it with a naive rule.

    ONLY=releases make bench

1,000 series of 20 re-distillations each, for every cell:

- The true accuracy of a student is its accuracy on all possible questions. The first release has 88 %.
- A challenger's true accuracy is the champion's plus a normal draw, at most 99 %. `even` draws with mean 0 and standard
  deviation 1 point: challengers are as often better as worse. `decline` draws with mean -0.5 and standard deviation 1:
  the data or the recipe slowly gets worse. `creep` draws with mean -0.3 and standard deviation 0.1: nearly every
  challenger is a little worse.
- All students of a series answer the same 300, 1,000, 3,000 or 10,000 test items. Student k has item i right if
  √r·z_i + √(1-r)·e_ik is above the quantile that gives its true accuracy; z (the item) and e are standard normal, and
  r = 0.8. Two students of 88 % then differ on 10 % of the items.
- A challenger that passes is the champion of the next step. The simulation takes it that the retention passes; that
  condition could only refuse more.

    rule    the lower end of the 95 % interval of (challenger - champion) is at least -1 point, the same to the first
            release, and the gain on the champion is at least the loss that the interval leaves open:
            `distill_dagster.release`, with its defaults
    margin  the same without the gain: `release.must_gain: false`
    alone   the margin without the first release
    naive   "not worse by a paired test": refuses only a challenger that scores less with McNemar's exact p below 0.05

    worse_passed_percent        share of the challengers truly worse than the champion that replaced it
    much_worse_passed_percent   share of the challengers truly worse by more than a point that replaced it
    better_passed_percent       share of the challengers truly better by more than a point that replaced it
    ends_at_percent             mean true accuracy of the last champion
    ends_low_percent            share of the series whose last champion is truly over a point below the first release
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from distill_dagster.config import ReleaseConfig
from distill_dagster.evaluation.score_intervals import difference_ends

SERIES, STEPS, FIRST, SHARED, SEED, POINT = 1_000, 20, 0.88, 0.8, 0, 0.01
MARGIN = ReleaseConfig().margin

Floats, Bools = npt.NDArray[np.float64], npt.NDArray[np.bool_]
Passes = Callable[[Bools, Bools, Bools], Bools]  # challenger, champion, first: (S, n) each -> (S,)


@dataclass(frozen=True, slots=True)
class Cell:
    """One setting of the simulation."""

    items: int
    shift: float
    spread: float


CELLS = {
    **{f"even_{items}": Cell(items, 0.0, 0.01) for items in (300, 1_000, 3_000, 10_000)},
    **{f"decline_{items}": Cell(items, -0.005, 0.01) for items in (300, 1_000, 3_000)},
    "creep_10000": Cell(10_000, -0.003, 0.001),
}


@dataclass(slots=True)
class Tally:
    """True differences of all challengers to their champions, which of them passed, and how the series ended."""

    differences: list[Floats] = field(default_factory=list)
    passed: list[Bools] = field(default_factory=list)

    def shares(self, last: Floats) -> dict[str, float]:
        """The figures in percent."""
        difference, passed = np.concatenate(self.differences), np.concatenate(self.passed)
        kinds = {"worse": difference < 0, "much_worse": difference < -POINT, "better": difference > POINT}
        return {
            **{f"{kind}_passed_percent": 100 * passed[one].mean() for kind, one in kinds.items() if one.any()},
            "ends_at_percent": 100 * last.mean(),
            "ends_low_percent": 100 * (last < FIRST - POINT).mean(),
        }


def measure() -> dict[str, float]:
    """The figures of every cell and rule."""
    return {
        f"{rule}_{title}_{name}": value
        for title, cell in CELLS.items()
        for rule, passes in RULES.items()
        for name, value in simulate(cell, passes).items()
    }


def simulate(cell: Cell, passes: Passes, series: int = SERIES) -> dict[str, float]:
    """The figures of one cell under one rule; every rule sees the same items and draws."""
    rng, tally = np.random.default_rng(SEED), Tally()
    shared = np.sqrt(SHARED) * rng.standard_normal((series, cell.items), dtype=np.float32)
    champion = np.full(series, FIRST)
    first = right = answer(shared, champion, rng)
    for _ in range(STEPS):
        challenger = np.minimum(champion + rng.normal(cell.shift, cell.spread, series), 0.99)
        answered = answer(shared, challenger, rng)
        let = passes(answered, right, first)
        tally.differences.append(challenger - champion)
        tally.passed.append(let)
        champion, right = np.where(let, challenger, champion), np.where(let[:, None], answered, right)
    return tally.shares(champion)


def answer(shared: npt.NDArray[np.float32], accuracy: Floats, rng: np.random.Generator) -> Bools:
    """Which items a student has right: (series, items)."""
    from scipy.stats import norm

    own = np.sqrt(1 - SHARED) * rng.standard_normal(shared.shape, dtype=np.float32)
    return shared + own > norm.ppf(1 - accuracy).astype(np.float32)[:, None]


def rule(challenger: Bools, champion: Bools, first: Bools) -> Bools:
    """The margin holds, and the gain is at least the loss that is left open; students that answer alike are exempt."""
    gain, alike = challenger.mean(axis=1) - champion.mean(axis=1), (challenger == champion).all(axis=1)
    return margin(challenger, champion, first) & ((lows(challenger, champion) >= -gain) | alike)


def margin(challenger: Bools, champion: Bools, first: Bools) -> Bools:
    """The lower ends against champion and first release are at least -MARGIN."""
    return alone(challenger, champion, first) & (lows(challenger, first) >= -MARGIN)


def alone(challenger: Bools, champion: Bools, first: Bools) -> Bools:
    """The lower end against the champion is at least -MARGIN."""
    return lows(challenger, champion) >= -MARGIN


def lows(challenger: Bools, other: Bools) -> Floats:
    """The lower ends of the differences, one a series."""
    gains, losses = (challenger & ~other).sum(axis=1), (other & ~challenger).sum(axis=1)
    pairs = zip(gains.tolist(), losses.tolist(), strict=True)
    return np.array([low(challenger.shape[1], *pair) for pair in pairs])


@cache
def low(items: int, gains: int, losses: int) -> float:
    """The lower end of the package's interval; only one of the two has each gain and each loss right."""
    return float(difference_ends(items - gains - losses, losses, gains, 0)[0])


def naive(challenger: Bools, champion: Bools, first: Bools) -> Bools:
    """McNemar's exact test does not find the challenger worse."""
    from scipy.stats import binom

    gains, losses = (challenger & ~champion).sum(axis=1), (champion & ~challenger).sum(axis=1)
    p = np.minimum(1, 2 * binom.cdf(np.minimum(gains, losses), gains + losses, 0.5))
    return ~((losses > gains) & (p < 0.05))


RULES: dict[str, Passes] = {"rule": rule, "margin": margin, "alone": alone, "naive": naive}
