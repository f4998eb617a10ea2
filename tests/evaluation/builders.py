"""Scores of three models, as the tests of this folder compare them."""

import numpy as np


def scores(values) -> dict[str, float]:
    return {f"q{i}": float(v) for i, v in enumerate(values)}


def three(n: int, seed: int = 0):
    """Correlated 0/1 scores of teacher, student and baseline."""
    rng = np.random.default_rng(seed)
    teacher = rng.random(n) < 0.85
    student = np.where(rng.random(n) < 0.9, teacher, rng.random(n) < 0.5)
    baseline = rng.random(n) < 0.3
    return teacher.astype(float), student.astype(float), baseline.astype(float)
