"""Score intervals of 0/1 items that are independent: a mean, a paired difference, a paired ratio.

A score interval holds every value that a test at the 5 % level does not reject, where the test's variance is the one
that holds if the value is right. With the shares of items that both got right (b), only the teacher (t), only the
student (s), and neither:

    what                      score per item              variance per item         published as
    mean p                    x - p                       p (1 - p)                 Wilson, JASA 22, 1927
    difference d = S - T      s_i - t_i - d               s + t - d^2               Tango, Statist. Med. 17, 1998
    ratio r = S / T           s_i - r t_i                 r (s + t)                 Nam and Blackwelder, Statist. Med.
                                                                                    21, 2002

b, t and s are the most likely shares under the value that is tested: a root of a quadratic equation each time.

Two corrections follow, because a plain score interval misses on one side up to 5 % of the time if nearly all items are
right (`python -m benchmarks.intervals` counts it). They widen no interval by more than a tenth:

- skewness. The test's limits z = ±1.96 become z + skewness (z^2 - 1) / 6, with the skewness of the sum of the scores
  (Gart and Nam, Biometrics 44, 1988; Laud, Pharmaceut. Statist. 16, 2017).
- continuity. The sum is moved by a quarter of an item towards the tested value. Yates's half covers more than it must.

`plain=True` leaves both out. All functions take numbers or arrays of counts, and return two arrays of their shape.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ends = tuple[Floats, Floats]
Parts = tuple[Floats, Floats, Floats]  # the sum of the scores, its variance, its third central moment

Z = 1.959963984540054  # the 97.5th percentile of the normal distribution
QUARTER = 0.25
HALVINGS = 60
TINY = 1e-12  # per item: keeps a variance above 0 where all items must be alike
EDGE = 1e-9  # a ratio r is searched as r / (1 + r), from EDGE to 1 - EDGE


def mean_ends(right: Any, items: Any, *, plain: bool = False) -> Ends:
    """The interval of the share of right items, from counts."""
    x, n = _arrays(right, items)

    def parts(p: Floats) -> Parts:
        variance = np.maximum(p * (1 - p), TINY)
        return x - n * p, n * variance, n * variance * (1 - 2 * p)

    low, high = _ends(parts, np.zeros_like(x), x / n, np.ones_like(x), plain)
    return np.where(x == 0, 0.0, low), np.where(x == n, 1.0, high)


def difference_ends(both: Any, only_teacher: Any, only_student: Any, neither: Any, *, plain: bool = False) -> Ends:
    """The interval of student minus teacher, -1 … 1, from counts of items."""
    b, t, s, none = _arrays(both, only_teacher, only_student, neither)
    n = b + t + s + none

    def parts(d: Floats) -> Parts:
        lost = _lost_under_difference(d, t, s, n)
        unequal = 2 * lost + d
        third = d - 3 * d * unequal + 2 * d**3
        return s - t - n * d, n * np.maximum(unequal - d * d, TINY), n * third

    return _ends(parts, np.full_like(b, -1.0), (s - t) / n, np.ones_like(b), plain)


def _lost_under_difference(d: Floats, t: Floats, s: Floats, n: Floats) -> Floats:
    """The most likely share of items that only the teacher got right, if the difference is d (Tango's equation)."""
    linear = (2 * n - s + t) * d - s - t
    constant = -t * d * (1 - d)
    return np.maximum((np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n), np.maximum(-d, 0))


def ratio_ends(both: Any, only_teacher: Any, only_student: Any, neither: Any, *, plain: bool = False) -> Ends:
    """The interval of student over teacher, 0 … infinity, from counts of items.

    A teacher that got nothing right has no ratio: the ends are then 0 and infinity.
    """
    b, t, s, none = _arrays(both, only_teacher, only_student, neither)
    n, teacher, student = b + t + s + none, b + t, b + s

    def parts(share: Floats) -> Parts:
        r = share / (1 - share)
        both_right, lost, gained = _shares_under_ratio(r, b, t, s, n)
        third = both_right * (1 - r) ** 3 + gained - r**3 * lost
        return student - r * teacher, n * np.maximum(r * (lost + gained), TINY), n * third

    middle = np.clip(student / np.maximum(student + teacher, 1), EDGE, 1 - EDGE)
    low, high = _ends(parts, np.full_like(b, EDGE), middle, np.full_like(b, 1 - EDGE), plain)
    none_right = teacher == 0
    return np.where(none_right | (student == 0), 0.0, low / (1 - low)), np.where(none_right, np.inf, high / (1 - high))


def _shares_under_ratio(r: Floats, b: Floats, t: Floats, s: Floats, n: Floats) -> Parts:
    """The most likely shares b, t and s if the ratio is r.

    With u = b + t + s, the constraint b + s = r (b + t) leaves one unknown, s: t = u (1 - r) + r s and
    b = r u - (1 + r) s. The derivative of the likelihood is 0 at the larger root of a quadratic equation in s.
    """
    answered = b + t + s
    u = answered / n
    start, top, slope = u * (1 - r), r * u, 1 + r
    square = -slope * r * answered
    linear = -b * slope * start + t * r * top + s * (r * top - slope * start)
    constant = s * top * start
    root = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0))
    gained = np.divide(-linear - root, 2 * square, out=np.zeros_like(u), where=square != 0)
    gained = np.clip(gained, np.maximum(0, -start / r), top / slope)
    return np.maximum(top - slope * gained, 0), np.maximum(start + r * gained, 0), gained


def _ends(parts: Callable[[Floats], Parts], least: Floats, middle: Floats, most: Floats, plain: bool) -> Ends:
    """The two values at which the test just does not reject; `middle` is the estimate."""

    def excess(side: int) -> Callable[[Floats], Floats]:
        def of(value: Floats) -> Floats:
            total, variance, third = parts(value)
            deviation = np.sqrt(variance)
            if plain:
                return total - side * Z * deviation
            skewness = third / deviation**3
            return total - side * QUARTER - deviation * (side * Z + skewness * (Z * Z - 1) / 6)

        return of

    return _root(excess(1), least, middle), _root(excess(-1), middle, most)


def _root(excess: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Where a function that falls from above 0 crosses it, between `low` and `high`, by halving."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = excess(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def _arrays(*counts: Any) -> tuple[Floats, ...]:
    return tuple(np.array(a, dtype=np.float64) for a in np.broadcast_arrays(*counts))
