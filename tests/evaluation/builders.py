"""Held-out rows to answer, and scores of three models to compare."""

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


def raw(row_id: str, task: str, messages: list[tuple[str, str]], reference: list[str]) -> dict:
    return {
        "row_id": row_id,
        "shard": "test",
        "split": "test",
        "task": task,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "reference": reference,
        "group": None,
        "source_line": 1,
        "meta": "{}",
    }


ROWS = [
    *(raw(f"n{i}", "nli", [("user", f"Premise: {i} cats. Hypothesis: cats.")], ["entailment"]) for i in range(6)),
    raw("unscored", "nli", [("user", "Premise: no gold.")], []),
    raw("long", "math", [("user", "one two three four five six seven eight nine ten " * 30)], ["7"]),
    raw(
        "talk",
        "conversation",
        [("user", "Hi"), ("assistant", "Hello!"), ("user", "Bye"), ("assistant", "See you.")],
        [],
    ),
]
