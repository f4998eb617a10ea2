"""Tasks whose answer is one label of a set: how their answers are scored, balanced and measured.

    gold      neutral        neutral     contradiction
    answer    neutral        None        neutral            accuracy 1/3, macro F1 (1/2 + 0) / 2

None is an answer that could not be parsed.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from distill_dagster.tasks.base import Task
from distill_dagster.tasks.labels import normal_label
from distill_dagster.tasks.measures import Measure
from distill_dagster.tasks.options import Prompting


def macro_f1(answers: Sequence[str | None], references: Sequence[Sequence[str]]) -> float:
    """Mean over the gold classes of F1 = 2TP / (2TP + FP + FN), 0 … 1.

    An answer that could not be parsed is a miss of its gold class. A class that is never gold counts only through the
    misses it causes. Where a row has several gold answers, its gold class is the one that was given, else the first.
    """
    hits: Counter[str] = Counter()
    gold: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for answer, labels in zip(answers, references, strict=True):
        classes = [normal_label(label) for label in labels]
        found = None if answer is None else normal_label(answer)
        label = found if found in classes else classes[0]
        gold[label] += 1
        if found is not None:
            given[found] += 1
            hits[label] += found == label
    return math.fsum(2 * hits[label] / (gold[label] + given[label]) for label in gold) / len(gold)


class LabelTask(Task):
    """A task whose answer is one label of a set."""

    metric: ClassVar[str] = "accuracy"
    more_metrics: ClassVar[Mapping[str, Measure]] = {"macro_f1": macro_f1}
    labelled: ClassVar[bool] = True
    promptings: ClassVar[tuple[Prompting, ...]] = ("plain", "chain_of_thought")
    answer_key: ClassVar[str] = "answer_choice"

    def agreement(self, answer: str, reference: str) -> float:
        """1 if both are the same label, else 0."""
        return float(normal_label(answer) == normal_label(reference))

    def label(self, answer: str) -> str | None:
        """The answer, which is a label."""
        return answer
