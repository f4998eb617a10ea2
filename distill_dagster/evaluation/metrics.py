"""Scores of a set of answers, as `evaluate.Metric` classes that need no network.

    task                         headline (mean of task.score)   also
    nli, classification          accuracy                        macro_f1
    math                         accuracy of the number
    qa                           exact_match                     token_f1
    summarization                rouge_l, stems compared         rouge_1, rouge_2
    conversation                 rouge_l                         distinct_2

The headline is the mean of what `tasks` says one answer scores, so an item's score and a set's cannot disagree.
An answer that could not be parsed is None, and wrong in every metric. `evaluate.load` would fetch a script from
the hub; a class with typed features works offline and still composes with `evaluate.combine`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from distill_dagster.tasks import get_task
from distill_dagster.tasks.labels import normal_label
from distill_dagster.tasks.qa import normal_answer
from distill_dagster.tasks.rouge import Kind, rouge

if TYPE_CHECKING:
    import evaluate

Measure = Callable[[Sequence[str | None], Sequence[Sequence[str]]], float]  # answers, their references
UNPARSABLE = "\0"  # stands for None in what `evaluate` is given, which refuses a batch of nothing but None


def macro_f1(answers: Sequence[str | None], references: Sequence[Sequence[str]]) -> float:
    """Mean over the gold classes of F1 = 2TP / (2TP + FP + FN), 0 … 1.

    An unparsable answer is a miss of its gold class; a class that is never gold counts only through the misses that
    it causes. Where a row has several references, its gold class is the one that was given, else the first.
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


def token_f1(answer: str | None, references: Sequence[str]) -> float:
    """Best F1 of word overlap with a reference, after SQuAD's normalisation (Rajpurkar et al., EMNLP 2016)."""
    if answer is None:
        return 0.0
    return max((_overlap(_words(answer), _words(reference)) for reference in references), default=0.0)


def _words(text: str) -> list[str]:
    return normal_answer(text).split()


def _overlap(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = sum((Counter(answer) & Counter(reference)).values())
    return 2 * shared / (len(answer) + len(reference))


def stemmed_rouge(kind: Kind, answer: str | None, references: Sequence[str]) -> float:
    """Best ROUGE F1 with a reference, word stems compared, as summaries are scored."""
    return max((rouge(answer or "", reference, kind, stem=True) for reference in references), default=0.0)


def distinct_2(answers: Sequence[str | None]) -> float:
    """Different pairs of words by all pairs of words, over all answers, 0 … 1 (Li et al. 2016, distinct-2).

    A model that gives everyone the same polite reply has nearly 0; it depends on how many answers there are, so
    compare models over the same rows only. Without any pair it is 0.
    """
    words = [(answer or "").casefold().split() for answer in answers]
    pairs = [pair for answer in words for pair in pairwise(answer)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def _mean(score: Callable[[str | None, Sequence[str]], float]) -> Measure:
    """The mean of a score of one answer."""

    def measure(answers: Sequence[str | None], references: Sequence[Sequence[str]]) -> float:
        return math.fsum(map(score, answers, references)) / len(answers)

    return measure


def measures(task: str) -> dict[str, Measure]:
    """What is measured of a set of answers to a task, by name, the headline first."""
    also: dict[str, dict[str, Measure]] = {
        "nli": {"macro_f1": macro_f1},
        "classification": {"macro_f1": macro_f1},
        "qa": {"token_f1": _mean(token_f1)},
        "summarization": {
            "rouge_1": _mean(partial(stemmed_rouge, "rouge1")),
            "rouge_2": _mean(partial(stemmed_rouge, "rouge2")),
        },
        "conversation": {"distinct_2": lambda answers, _: distinct_2(answers)},
    }
    return {get_task(task).metric: _mean(get_task(task).score), **also.get(task, {})}


@cache
def load_metric(task: str) -> "dict[str, evaluate.Metric]":
    """A task's metrics by name, the headline first.

    Each takes `predictions` (parsed answers, UNPARSABLE for none) and `references` (a list of gold answers each):

        load_metric("qa")["token_f1"].compute(predictions=["the red car"], references=[["red car"]])
    """
    import datasets
    import evaluate

    features = {"predictions": datasets.Value("string"), "references": datasets.Sequence(datasets.Value("string"))}

    class TaskMetric(evaluate.Metric):
        """A measure with typed features, of which nothing is written to disk."""

        def __init__(self, title: str, measure: Measure) -> None:
            self.title, self.measure = title, measure
            super().__init__(keep_in_memory=True)

        def _info(self) -> evaluate.MetricInfo:
            return evaluate.MetricInfo(
                description=f"{self.title} of answers to {task}, unparsable ones counted as wrong",
                citation="",
                inputs_description="predictions: parsed answers; references: the gold answers of each",
                features=datasets.Features(features),
            )

        def _compute(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
            answers = [None if answer == UNPARSABLE else answer for answer in predictions]
            return {self.title: self.measure(answers, references)}

    return {name: TaskMetric(name, measure) for name, measure in measures(task).items()}


def compute(task: str, predictions: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The task's metrics over prediction rows (`records.PREDICTION`) that have a reference, the headline first.

    Turns of a conversation count one by one here; `statistics.item_scores` makes them one item.

    Raises:
        ValueError: there are no rows, or one has no reference.
    """
    if not predictions or not all(row["reference"] for row in predictions):
        raise ValueError(f"{task}: metrics need rows, each with a reference; leave unscored rows out")
    answers = [UNPARSABLE if row["parsed"] is None else row["parsed"] for row in predictions]
    references = [row["reference"] for row in predictions]
    values: dict[str, float] = {}
    for metric in load_metric(task).values():
        values |= metric.compute(predictions=answers, references=references) or {}
    return values


def by_task(predictions: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Prediction rows that have a reference, grouped by task in the order in which the tasks appear."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in predictions:
        if row["reference"]:
            groups[row["task"]].append(row)
    return dict(groups)
