"""The scored items of students: from a benchmark's predictions, and in scores.parquet.

{"3f2a…": [{"row_id": "q1", "task": "qa", "score": 1.0}, …], "77b0…": […]}
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill_dagster.evaluation.comparison import item_scores
from distill_dagster.store import files, parquet, schemas

Row = Mapping[str, Any]
Scored = dict[str, list[Row]]  # student -> its items: row_id, task, score
COLUMNS = ("row_id", "task", "score")
OF_PREDICTIONS = ("row_id", "turn", "task", "score")  # what `items_of` reads of a prediction


def items_of(predictions: Iterable[Row]) -> list[Row]:
    """The scored items of prediction rows; a conversation is one item."""
    rows = list(predictions)
    tasks = {row["row_id"]: row["task"] for row in rows}
    return [{"row_id": row_id, "task": tasks[row_id], "score": score} for row_id, score in item_scores(rows).items()]


def by_item(items: Sequence[Row], task: str | None = None) -> dict[str, float]:
    """row_id -> score, of one task or of all."""
    return {item["row_id"]: item["score"] for item in items if task in (None, item["task"])}


def read_scores(folder: Path) -> Scored:
    """The scores that a release holds."""
    scored: Scored = {}
    for row in parquet.read_table(folder / files.SCORES_FILE):
        scored.setdefault(row["student"], []).append({name: row[name] for name in COLUMNS})
    return scored


def write_scores(folder: Path, scored: Scored) -> None:
    """Write scores.parquet."""
    rows = ({"student": student, **item} for student, items in scored.items() for item in items)
    parquet.write_table(folder / files.SCORES_FILE, rows, schemas.SCORE)
