"""How far the student answers as the teacher does, and whether it is right where the teacher is.

    task   items   same answer   student right where the teacher is      where the teacher is wrong
    nli    240     92.1 %        214 of 228 (93.9 %, 90.0–96.3)          3 of 12: too few
    qa     160     88.8 %        …

A high score with a low agreement means that the student learned something else than the teacher's answers. The share of
answers that are right where the teacher's is wrong is luck, or knowledge that the student had before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from distill_dagster.config import Role
from distill_dagster.evaluation.metrics import by_task
from distill_dagster.evaluation.slices import FEWEST
from distill_dagster.evaluation.statistics import mean_interval
from distill_dagster.tasks import Task, get_task

Row = Mapping[str, Any]
Pair = tuple[Row, Row]  # teacher's and student's prediction of one turn


class Share(BaseModel, frozen=True):
    """`count` of `of`, with its 95 % interval; no interval where `of` is too small."""

    count: int
    of: int
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float | None:
        """The share; None where it is of too few."""
        return self.count / self.of if self.low is not None else None


class Agreement(BaseModel, frozen=True):
    """One task. `same` is None where there are too few answers, the shares where a score is not 0 or 1."""

    task: str
    answers: int
    same: float | None  # mean agreement of the student's answer with the teacher's, as the task scores it
    where_teacher_is_right: Share | None = None
    where_teacher_is_wrong: Share | None = None


def agreements(
    predictions: Mapping[Role, Sequence[Row]], labels: Sequence[str] | None, resamples: int, seed: int
) -> list[Agreement]:
    """The agreement on each task, from prediction rows by role; `labels` as in the benchmark."""
    students = {(row["row_id"], row["turn"]): row for row in predictions["student"]}
    return [
        _agreement(task, [(row, students[row["row_id"], row["turn"]]) for row in rows], labels, resamples, seed)
        for task, rows in by_task(predictions["teacher"]).items()
    ]


def _agreement(name: str, pairs: Sequence[Pair], labels: Sequence[str] | None, resamples: int, seed: int) -> Agreement:
    task, enough = get_task(name), len(pairs) >= FEWEST
    same = sum(_same(task, pair, labels) for pair in pairs) / len(pairs) if enough else None
    if not all(row["score"] in (0, 1) for pair in pairs for row in pair):
        return Agreement(task=name, answers=len(pairs), same=same)
    right, wrong = ([pair for pair in pairs if pair[0]["score"] == score] for score in (1, 0))
    return Agreement(
        task=name,
        answers=len(pairs),
        same=same,
        where_teacher_is_right=_share(right, resamples, seed),
        where_teacher_is_wrong=_share(wrong, resamples, seed),
    )


def _same(task: Task, pair: Pair, labels: Sequence[str] | None) -> float:
    """How well the student's answer agrees with the teacher's; 0 where one of them has none."""
    teacher, student = (row["parsed"] for row in pair)
    return task.agreement(student, teacher, labels) if teacher is not None and student is not None else 0.0


def _share(pairs: Sequence[Pair], resamples: int, seed: int) -> Share:
    """The share of pairs in which the student is right."""
    scores = [student["score"] for _, student in pairs]
    if len(scores) < FEWEST:
        return Share(count=int(sum(scores)), of=len(scores))
    ends = mean_interval(scores, resamples=resamples, seed=seed)
    return Share(count=int(sum(scores)), of=len(scores), low=ends.low, high=ends.high)
