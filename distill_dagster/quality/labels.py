"""The label set of a task in a project: the config's, the task's own, or the gold answers of the training rows."""

from collections.abc import Iterable, Mapping
from typing import Any

from distill_dagster.config import QualityConfig
from distill_dagster.tasks import get_task
from distill_dagster.tasks.folding import composed


def labels_of(task: str, quality: QualityConfig, raw: Iterable[Mapping[str, Any]]) -> list[str] | None:
    """`quality.labels`, else the labels that the task fixes, else the gold answers of training rows, sorted.

    Gold answers that nobody can tell apart (composed or not, with or without invisible characters) are one label. None
    where the task takes no labels from gold answers (`Task.labels_from_gold`), or `raw` holds none.
    """
    if quality.labels is not None:
        return list(quality.labels)
    if (own := get_task(task).labels) is not None:
        return list(own)
    if not get_task(task).labels_from_gold:
        return None
    gold = {text for row in raw if row["split"] == "train" and row["task"] == task for text in row["reference"] or ()}
    return sorted({composed(text): text for text in sorted(gold, reverse=True)}.values()) or None
