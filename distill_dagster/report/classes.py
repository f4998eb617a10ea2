"""Precision, recall and F1 of every label, so that a good mean does not hide a class that the student lost.

    label            support   precision   recall   F1
    card_arrival     40        0.95        0.98     0.96
    card_linking     40        1.00        0.85     0.92

For a label with TP correct answers, `given` answers that name it and `support` answers whose gold label it is:
precision = TP / given, recall = TP / support, F1 = 2 TP / (given + support). Labels are compared as
`tasks.labelled.macro_f1` compares them, so the mean of the F1 column is the task's macro F1.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distill_dagster.config import ROLES, Role
from distill_dagster.evaluation.metrics import by_task
from distill_dagster.report.document import ClassScore, ClassTable, LabelScores
from distill_dagster.tasks import get_task
from distill_dagster.tasks.labelled import gold_and_given
from distill_dagster.tasks.labels import label_key

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]


def class_tables(predictions: Mapping[Role, Sequence[Row]], labels: Sequence[str] | None = None) -> list[ClassTable]:
    """A table for each task whose answers are labels, from prediction rows by role. Rows without gold do not count.

    `labels` is the label set that the answers were parsed against.
    """
    rows = {role: by_task(predictions[role]) for role in ROLES}
    return [
        ClassTable(
            task=task, labels=_labels({role: rows[role][task] for role in ROLES}, labels or get_task(task).labels)
        )
        for task in rows["teacher"]
        if get_task(task).labelled
    ]


def _labels(rows: Mapping[Role, Sequence[Row]], known: Sequence[str] | None) -> list[LabelScores]:
    scores = {role: label_scores(rows[role], known) for role in ROLES}
    spellings: dict[str, str] = {}
    for reference in (text for row in rows["teacher"] for text in row["reference"]):
        spellings.setdefault(label_key(reference, known), reference.strip())
    gold = sorted({label for table in scores.values() for label in table.index})
    return [
        LabelScores(label=spellings[label], **{role: _score(scores[role], label) for role in ROLES}) for label in gold
    ]


def label_scores(rows: Sequence[Row], known: Sequence[str] | None) -> "pd.DataFrame":
    """support, given, hits, precision, recall and f1 of one model, indexed by the key of each gold label."""
    import pandas as pd

    pairs = [gold_and_given(row["parsed"], row["reference"], known) for row in rows]
    answers = pd.DataFrame(pairs, columns=["gold", "given"])
    right = answers[answers["gold"] == answers["given"]]
    counts = pd.DataFrame(
        {
            "support": answers.groupby("gold").size(),
            "given": answers.groupby("given").size(),
            "hits": right.groupby("gold").size(),
        }
    )
    table = counts.fillna(0)[counts["support"] > 0]
    return table.assign(
        precision=table["hits"] / table["given"],  # 0 / 0 is NaN: the label was never given
        recall=table["hits"] / table["support"],
        f1=2 * table["hits"] / (table["given"] + table["support"]),
    )


def _score(table: "pd.DataFrame", label: str) -> ClassScore:
    if label not in table.index:  # gold in another model's table only: the row has several gold labels
        return ClassScore(precision=None, recall=None, f1=0, support=0)
    found = table.loc[label]
    precision = float(found["precision"]) if found["given"] else None
    return ClassScore(
        precision=precision, recall=float(found["recall"]), f1=float(found["f1"]), support=int(found["support"])
    )
