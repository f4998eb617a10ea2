"""Tasks whose answer is one label of a set: how their answers are scored, balanced and measured.

    gold      neutral        neutral     contradiction
    answer    neutral        None        neutral            accuracy 1/3, macro F1 (1/2 + 0) / 2

None is an answer that could not be parsed.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from distill_dagster.tasks.base import Task
from distill_dagster.tasks.labels import label_key
from distill_dagster.tasks.measures import Measure
from distill_dagster.tasks.options import Prompting


def gold_and_given(
    answer: str | None, references: Sequence[str], labels: Sequence[str] | None
) -> tuple[str, str | None]:
    """The keys of the gold label and of the given one. Of several gold labels the given one counts, else the first."""
    gold = [label_key(reference, labels) for reference in references]
    given = None if answer is None else label_key(answer, labels)
    return (given if given in gold else gold[0]), given


def macro_f1(
    answers: Sequence[str | None], references: Sequence[Sequence[str]], labels: Sequence[str] | None = None
) -> float:
    """Mean over the gold classes of F1 = 2TP / (2TP + FP + FN), 0 … 1.

    An answer that could not be parsed is a miss of its gold class. A class that is never gold counts only through the
    misses it causes. Where a row has several gold answers, its gold class is the one that was given, else the first.
    """
    hits: Counter[str] = Counter()
    gold: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for answer, own in zip(answers, references, strict=True):
        label, found = gold_and_given(answer, own, labels)
        gold[label] += 1
        if found is not None:
            given[found] += 1
            hits[label] += found == label
    return math.fsum(2 * hits[label] / (gold[label] + given[label]) for label in gold) / len(gold)


class LabelTask(Task):
    """A task whose answer is one label of a set."""

    metric: ClassVar[str] = "accuracy"
    labelled: ClassVar[bool] = True
    promptings: ClassVar[tuple[Prompting, ...]] = ("plain", "chain_of_thought")
    answer_key: ClassVar[str] = "answer_choice"

    def agreement(self, answer: str, reference: str, labels: Sequence[str] | None = None) -> float:
        """1 if both are the same label of the set, else 0."""
        known = labels or self.labels
        return float(label_key(answer, known) == label_key(reference, known))

    def measures(self, labels: Sequence[str] | None = None) -> Mapping[str, Measure]:
        """Accuracy and macro F1."""
        return {**super().measures(labels), "macro_f1": partial(macro_f1, labels=labels or self.labels)}

    def label(self, answer: str) -> str | None:
        """The answer, which is a label."""
        return answer
