"""Populations whose mean, difference or retention is known, and samples of them, for `benchmarks.intervals`.

A population of 0/1 scores is four shares: of items that both models get right, only the teacher, only the
student, or neither. `phi` is the correlation of the two scores. Groups come in two kinds; in both, two items of a group
have the correlation ICC:

    dirichlet   each group has shares of its own, around the population's
    copies      in each group, some items are the same item again; the others are independent
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from distill_dagster.evaluation.score_intervals import Floats

ITEMS = (50, 100, 300, 1000)
ACCURACIES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.986)
TEACHERS, RETENTIONS, CORRELATIONS = (0.6, 0.75, 0.9, 0.986), (0.8, 0.92, 0.97, 1.0, 1.05), (0.0, 0.5, 0.9)
GROUP, ICC = 10, 0.3


@dataclass(frozen=True, slots=True)
class Population:
    """The shares of the four kinds of items, and the values that intervals should hold."""

    shares: tuple[float, float, float, float]
    teacher: float
    retention: float
    phi: float

    def true(self, what: str) -> float:
        """The true mean of the teacher, the difference student minus teacher, or the retention."""
        values = {"mean": self.teacher, "difference": self.teacher * (self.retention - 1), "retention": self.retention}
        return values[what]


def populations(what: str) -> Iterator[Population]:
    """The populations on which the interval of a mean, a difference or a retention is tried."""
    if what == "mean":
        yield from (Population((p, 0.0, 0.0, 1 - p), p, 1.0, 1.0) for p in ACCURACIES)
        return
    for teacher in TEACHERS:
        for retention in RETENTIONS:
            found = [pair(teacher, retention, phi) for phi in CORRELATIONS]
            yield from {p.shares: p for p in found if p}.values()


def pair(teacher: float, retention: float, phi: float) -> Population | None:
    """Two models of this accuracy, retention and, as far as it is possible, correlation."""
    student = teacher * retention
    if student > 1:
        return None
    spread = phi * np.sqrt(teacher * (1 - teacher) * student * (1 - student))
    both = float(np.clip(teacher * student + spread, teacher + student - 1, min(teacher, student)))
    shares = (both, teacher - both, student - both, 1 - teacher - student + both)
    clipped = np.clip(np.round(shares, 12), 0, 1)
    return Population(tuple((clipped / clipped.sum()).tolist()), teacher, retention, phi)


def grouped_counts(rng: np.random.Generator, population: Population, groups: int, runs: int, kind: str) -> Floats:
    """Counts of the four kinds of items in groups of `GROUP`: (runs, groups, 4)."""
    shares = np.array(population.shares)
    if kind == "dirichlet":
        weights = rng.standard_gamma(np.maximum(shares * (1 - ICC) / ICC, 1e-12), (runs, groups, 4))
        weights = np.where(weights.sum(axis=2, keepdims=True) > 0, weights, shares)
        return rng.multinomial(GROUP, weights / weights.sum(axis=2, keepdims=True)).astype(float)
    copies = rng.binomial(GROUP, np.sqrt(ICC), (runs, groups))
    copied = rng.multinomial(1, shares, (runs, groups)) * copies[..., None]
    return (copied + rng.multinomial(GROUP - copies, shares)).astype(float)


def fractions(rng: np.random.Generator, name: str, items: int, runs: int) -> tuple[Floats, Floats, float, float]:
    """Scores in [0, 1] of teacher and student (runs, items), the teacher's true mean, and the true retention.

    The student scores the teacher's score times a factor in [0, 1] that does not depend on it, so the retention is the
    factor's mean: 1 on four items of five, and uniform on the fifth.
    """
    size = (runs, items)
    teacher, mean = {
        "ROUGE": lambda: (rng.beta(4, 6, size), 0.4),
        "ROUGE, a tenth failed": lambda: (rng.beta(8, 4, size) * (rng.random(size) < 0.9), 0.6),
        "near 1": lambda: (rng.beta(20, 1, size), 20 / 21),
        "few losses": lambda: (np.where(rng.random(size) < 0.95, 0.95, 0.05), 0.95 * 0.95 + 0.05 * 0.05),
        "thirds": lambda: (rng.binomial(3, 0.8, size) / 3, 0.8),
    }[name]()
    factor = np.where(rng.random(size) < 0.8, 1.0, rng.random(size))
    return teacher, teacher * factor, mean, 0.9


FRACTIONS = ("ROUGE", "ROUGE, a tenth failed", "near 1", "few losses", "thirds")
