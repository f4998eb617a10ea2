"""The models on parts of the held-out items: tasks, turns, short and long prompts, what no training row copies.

    part                          items   teacher   baseline   student   retention
    task nli                      240     0.95      0.33       0.91      95.8 % (92.1–98.7)
    prompt up to 212 characters   134     0.97      0.35       0.95      97.9 % (94.0–100.4)
    no training row copies it     391     0.94      0.33       0.90      95.7 % (92.8–98.1)

A part of fewer than `FEWEST` items has no numbers: its interval would be wider than any difference of interest. With 20
items of which 18 are right, Wilson's interval is 70 % to 97 %.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from distill_dagster.config import EvaluationConfig, MeasuredRole
from distill_dagster.evaluation.comparison import RatioEstimate, retention_of
from distill_dagster.evaluation.items import Groups, item_groups, item_scores
from distill_dagster.tasks import get_task

FEWEST = 20  # items of a part that has numbers
LENGTHS = 3  # parts of about the same number of items

Row = Mapping[str, Any]
Scores = Mapping[str, float]
Kind = Literal["task", "turn", "length", "clean"]


class Slice(BaseModel, frozen=True):
    """The scores of the models on a part of the items, and the retention there; all None if it has too few."""

    kind: Kind
    name: str
    items: int
    teacher: float | None = None
    baseline: float | None = None
    student: float | None = None
    gold_student: float | None = Field(default=None, exclude_if=lambda score: score is None)  # None: there is none
    retention: RatioEstimate | None = None


def slices_of(
    predictions: Mapping[MeasuredRole, Sequence[Row]],
    rows: Sequence[Row],
    copied: Collection[str] | None,
    evaluation: EvaluationConfig,
) -> list[Slice]:
    """The parts of a report, from prediction rows by role (`schemas.PREDICTION`).

    `rows` are the held-out raw rows; without them there are no parts by length. `copied` are the ids of held-out rows
    that a training row copies; None if the set was made before they were recorded.
    """
    scores: dict[MeasuredRole, Scores] = {role: item_scores(found) for role, found in predictions.items()}
    ids, groups = list(scores["teacher"]), item_groups(predictions["student"])

    def part(kind: Kind, name: str, holds: Callable[[str], bool]) -> Slice:
        return _slice(kind, name, scores, [row_id for row_id in ids if holds(row_id)], evaluation, groups)

    task_of = {row["row_id"]: row["task"] for row in predictions["teacher"]}
    found = [part("task", task, lambda i, t=task: task_of[i] == t) for task in dict.fromkeys(task_of[i] for i in ids)]
    found += [
        _slice("turn", f"{task}, turn {turn + 1}", own, list(own["teacher"]), evaluation, groups)
        for (task, turn), own in _turns(predictions).items()
    ]
    lengths = {row["row_id"]: _length(row) for row in rows if row["row_id"] in task_of}
    if len(lengths) == len(ids):
        found += [part("length", name, lambda i, b=bin: b(lengths[i])) for name, bin in _bins(list(lengths.values()))]
    if copied is not None:
        found.append(part("clean", "no training row copies it", lambda i: i not in copied))
    return found


def _slice(
    kind: Kind,
    name: str,
    scores: Mapping[MeasuredRole, Scores],
    ids: Sequence[str],
    evaluation: EvaluationConfig,
    groups: Groups,
) -> Slice:
    if len(ids) < FEWEST:
        return Slice(kind=kind, name=name, items=len(ids))
    own = {role: {row_id: found[row_id] for row_id in ids} for role, found in scores.items()}
    how: dict[str, Any] = {"resamples": evaluation.resamples, "seed": evaluation.seed}
    retention = retention_of(own["teacher"], own["student"], groups=groups, **how)
    means = {role: float(np.mean(list(values.values()))) for role, values in own.items()}
    return Slice(kind=kind, name=name, items=len(ids), retention=retention, **means)


def _turns(
    predictions: Mapping[MeasuredRole, Sequence[Row]],
) -> dict[tuple[str, int], dict[MeasuredRole, dict[str, float]]]:
    """(task, turn) -> scores by role and row, of tasks with several turns in a row; a row's turn is the item there."""
    found: dict[tuple[str, int], dict[MeasuredRole, dict[str, float]]] = {}
    for role, rows in predictions.items():
        for row in rows:
            if row["score"] is not None and not get_task(row["task"]).single_turn:
                by_role = found.setdefault((row["task"], row["turn"]), {name: {} for name in predictions})
                by_role[role][row["row_id"]] = row["score"]
    several = {task for task, turn in found if turn}
    return {key: own for key, own in sorted(found.items()) if key[0] in several}


def _length(row: Row) -> int:
    """The characters of a row up to its last user turn: all that a model reads before its last answer."""
    asked = [i for i, message in enumerate(row["messages"]) if message["role"] == "user"]
    return sum(len(message["content"]) for message in row["messages"][: asked[-1] + 1]) if asked else 0


def _bins(lengths: Sequence[int]) -> list[tuple[str, Callable[[int], bool]]]:
    """Names of ranges of lengths, and whether a length is in each; fewer than three where many lengths are equal."""
    shares = [(i + 1) / LENGTHS for i in range(LENGTHS - 1)]
    ends = sorted({int(end) for end in np.quantile(lengths, shares, method="lower")} - {max(lengths)})
    if not ends:
        return []
    first = (f"prompt up to {ends[0]:,} characters", lambda n: n <= ends[0])
    between = [
        (f"prompt of {low + 1:,} to {high:,} characters", lambda n, low=low, high=high: low < n <= high)
        for low, high in pairwise(ends)
    ]
    return [first, *between, (f"prompt of more than {ends[-1]:,} characters", lambda n: n > ends[-1])]
