"""Two students on the same held-out rows: their scores, and the difference with its interval, by task and over all.

task   items    A      B      A - B
nli    200      0.91   0.90   +1.0 points (95 % interval -1.9 to +3.9, 200 items)
all    400      …
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel

from distill_dagster.config import EvaluationConfig
from distill_dagster.errors import DataError
from distill_dagster.release.difference import difference_interval
from distill_dagster.release.scores import Row, by_item
from distill_dagster.release.specs import ScoreDifference

ALL = "all"


class TaskDifference(BaseModel, frozen=True):
    """Two students on the items of one task, or of all (`ALL`)."""

    task: str
    a: float
    b: float
    difference: ScoreDifference  # a - b


def compare_students(a: Sequence[Row], b: Sequence[Row], evaluation: EvaluationConfig) -> list[TaskDifference]:
    """The differences by task, in the order in which the tasks appear, and over all items if there are several tasks.

    Raises:
        DataError: the two were not scored on the same items, or on none.
    """
    tasks: list[str | None] = list(dict.fromkeys(item["task"] for item in a))
    return [_difference(a, b, task, evaluation) for task in (tasks if len(tasks) == 1 else [*tasks, None])]


def _difference(a: Sequence[Row], b: Sequence[Row], task: str | None, evaluation: EvaluationConfig) -> TaskDifference:
    first, second = by_item(a, task), by_item(b, task)
    found = difference_interval(first, second, resamples=evaluation.resamples, seed=evaluation.seed)
    means = [float(np.mean(list(scores.values()))) for scores in (first, second)]
    return TaskDifference(task=task or ALL, a=means[0], b=means[1], difference=found)


def match(name: str, students: Sequence[str]) -> str:
    """The student whose name begins with `name`.

    Raises:
        DataError: none does, or several do.
    """
    found = [student for student in dict.fromkeys(students) if student.startswith(name)]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} students of the history are named {name}…" if found else f"no student is named {name!r}"
    raise DataError(f"{problem}: `distill-dagster releases` lists them, and `student` and `released` are names too")
