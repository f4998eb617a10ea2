"""The label set of a task in a project: what the config names, what the task fixes, or what the gold answers are."""

from collections.abc import Iterable, Mapping
from typing import Any

from distill_dagster.config import QualityConfig
from distill_dagster.tasks import get_task


def labels_of(task: str, quality: QualityConfig, raw: Iterable[Mapping[str, Any]]) -> list[str] | None:
    """`quality.labels`, else the task's own, else for classification the gold answers of training rows, else None."""
    own = get_task(task).labels
    if quality.labels is not None:
        return list(quality.labels)
    if own is not None:
        return list(own)
    if task != "classification":
        return None
    gold = {text for row in raw if row["split"] == "train" and row["task"] == task for text in row["reference"] or ()}
    return sorted(gold) or None
