"""The metrics that a task declares, as `evaluate.Metric` classes that need no network.

    compute("qa", [{"parsed": "a red car", "reference": ["red truck"], …}])      {"exact_match": 0, "token_f1": 0.5}

The headline is the mean of the scores that the task gives to single answers, so the score of an item and that of a set
cannot disagree. An answer that could not be parsed is None, and counts as wrong in every metric. A task may also
measure the models' whole texts (`Task.text_metrics`), where the parsed answers do not hold all that is compared.
`evaluate.load` would fetch a script from the hub; a class with typed features works offline and still composes with
`evaluate.combine`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from distill_dagster.tasks import get_task
from distill_dagster.tasks.measures import Measure

if TYPE_CHECKING:
    import evaluate

UNPARSABLE = "\0"  # replaces None, since `evaluate` refuses a batch that holds nothing else


@cache
def load_metric(task: str, labels: tuple[str, ...] | None = None) -> "dict[str, evaluate.Metric]":
    """A task's metrics by name, the headline first.

    `labels` is the label set that the answers were parsed against. Each metric takes `predictions` (parsed answers, or
    whole texts for the task's `text_metrics`; UNPARSABLE for None) and `references` (a list of gold answers for each):

        load_metric("qa")["token_f1"].compute(predictions=["the red car"], references=[["red car"]])
    """
    import datasets
    import evaluate

    features = {"predictions": datasets.Value("string"), "references": datasets.Sequence(datasets.Value("string"))}

    class TaskMetric(evaluate.Metric):
        """A measure with typed features that writes nothing to disk."""

        def __init__(self, title: str, measure: Measure) -> None:
            self.title, self.measure = title, measure
            super().__init__(keep_in_memory=True)

        def _info(self) -> evaluate.MetricInfo:
            return evaluate.MetricInfo(
                description=f"{self.title} of {task} answers; those that could not be parsed count as wrong",
                citation="",
                inputs_description="predictions: parsed answers; references: a list of gold answers for each",
                features=datasets.Features(features),
            )

        def _compute(  # pyright: ignore[reportIncompatibleMethodOverride]  # the signature that evaluate documents
            self, predictions: list[str], references: list[list[str]]
        ) -> dict[str, float]:
            answers = [None if answer == UNPARSABLE else answer for answer in predictions]
            return {self.title: self.measure(answers, references)}

    measures = {**get_task(task).measures(labels), **get_task(task).text_metrics}
    return {name: TaskMetric(name, measure) for name, measure in measures.items()}


def compute(
    task: str, predictions: Sequence[Mapping[str, Any]], labels: Sequence[str] | None = None
) -> dict[str, float]:
    """The task's metrics over prediction rows (`schemas.PREDICTION`) that have a reference, the headline first.

    Every turn of a conversation counts here; `comparison.item_scores` makes one item of them.

    Raises:
        ValueError: there is no row, or a row has no reference.
    """
    if not predictions or not all(row["reference"] for row in predictions):
        raise ValueError(f"{task}: metrics need rows, each with a reference; leave unscored rows out")
    answers = [UNPARSABLE if row["parsed"] is None else row["parsed"] for row in predictions]
    texts = [UNPARSABLE if (text := _text(row)) is None else text for row in predictions]
    references, of_texts = [row["reference"] for row in predictions], get_task(task).text_metrics
    values: dict[str, float] = {}
    for name, metric in load_metric(task, tuple(labels) if labels else None).items():
        values |= metric.compute(predictions=texts if name in of_texts else answers, references=references) or {}
    return values


def _text(row: Mapping[str, Any]) -> str | None:
    """What the model wrote, if it ended there; the parsed answer of a row that holds no text."""
    if "prediction" not in row:
        return row["parsed"]
    return row["prediction"] if row["finish_reason"] == "stop" else None


def by_task(predictions: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Prediction rows that have a reference, grouped by task in the order in which the tasks appear."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in predictions:
        if row["reference"]:
            groups[row["task"]].append(row)
    return dict(groups)
