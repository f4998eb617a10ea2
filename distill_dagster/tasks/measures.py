"""Measures of a set of answers against the gold answers; a task declares some of them as its metrics.

    mean_of(score)(["18", None], [["18"], ["7"]]) = (1 + 0) / 2

An answer that could not be parsed is None, and counts as wrong in every measure.
"""

import math
from collections.abc import Callable, Sequence

Measure = Callable[[Sequence[str | None], Sequence[Sequence[str]]], float]  # answers, the gold answers to each


def mean_of(score: Callable[[str | None, Sequence[str]], float]) -> Measure:
    """The mean of a score of one answer against its gold answers."""

    def measure(answers: Sequence[str | None], references: Sequence[Sequence[str]]) -> float:
        return math.fsum(map(score, answers, references)) / len(answers)

    return measure
