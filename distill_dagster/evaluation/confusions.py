"""Which labels a model takes for which: the pairs of gold and given label that the student confuses most.

    gold             given           teacher   baseline   student
    card_linking     card_arrival    0         4          6          of 40 items
    card_arrival     (none)          0         31         2          of 40 items: an answer that could not be parsed

Labels are compared as in the task's accuracy, so the counts of a gold label add up to its errors.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from distill_dagster.config import ROLES, Role
from distill_dagster.evaluation.metrics import by_task
from distill_dagster.tasks import get_task
from distill_dagster.tasks.labelled import gold_and_given

MOST = 20  # pairs of a task
Row = Mapping[str, Any]


class Confusion(BaseModel, frozen=True):
    """Answers whose gold label is `gold` and that name `given`; None: no answer could be parsed."""

    gold: str
    given: str | None
    of: int  # the student's answers with this gold label
    teacher: int
    baseline: int
    student: int


class ConfusionTable(BaseModel, frozen=True):
    """The student's most frequent confusions in one task, and how many more there are."""

    task: str
    pairs: list[Confusion]
    more: int = 0


def confusion_tables(
    predictions: Mapping[Role, Sequence[Row]], labels: Sequence[str] | None = None
) -> list[ConfusionTable]:
    """A table for each task whose answers are labels, from prediction rows by role; `labels` as in the benchmark."""
    rows = {role: by_task(predictions[role]) for role in ROLES}
    return [
        _table(task, {role: rows[role][task] for role in ROLES}, labels or get_task(task).labels)
        for task in rows["teacher"]
        if get_task(task).labelled
    ]


def _table(task: str, rows: Mapping[Role, Sequence[Row]], known: Sequence[str] | None) -> ConfusionTable:
    counts = {
        role: Counter(gold_and_given(row["parsed"], row["reference"], known) for row in own)
        for role, own in rows.items()
    }
    golds = Counter(gold for gold, _ in counts["student"].elements())
    wrong = {pair: count for pair, count in counts["student"].items() if pair[0] != pair[1]}
    order = sorted(wrong, key=lambda pair: (-wrong[pair], pair[0], pair[1] or ""))
    pairs = [
        Confusion(gold=gold, given=given, of=golds[gold], **{role: counts[role][gold, given] for role in ROLES})
        for gold, given in order[:MOST]
    ]
    return ConfusionTable(task=task, pairs=pairs, more=len(order) - len(pairs))
