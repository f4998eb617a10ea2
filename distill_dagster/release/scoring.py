"""Scores of students on the present held-out rows: the challenger's from its benchmark, others asked again.

A kept student is asked as the challenger was: the same prompts, greedily, with the same longest answer, labels and
precision, through the function that benchmarks ask through. So its scores are those that its own benchmark would give.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill_dagster.evaluation.asking import ask_local
from distill_dagster.evaluation.benchmark import asked_of, judge
from distill_dagster.evaluation.comparison import item_scores
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.models.loading import forget
from distill_dagster.models.ref import ModelRef
from distill_dagster.progress import track
from distill_dagster.release.gate import short
from distill_dagster.store import files, parquet, schemas

Row = Mapping[str, Any]
Scored = dict[str, list[Row]]  # student -> its items: row_id, task, score
COLUMNS = ("row_id", "task", "score")


def items_of(predictions: Iterable[Row]) -> list[Row]:
    """The scored items of prediction rows; a conversation is one item."""
    rows = list(predictions)
    tasks = {row["row_id"]: row["task"] for row in rows}
    return [{"row_id": row_id, "task": tasks[row_id], "score": score} for row_id, score in item_scores(rows).items()]


def score_again(asks: BenchmarkSpec, model: ModelRef, student: str, device: str) -> list[Row]:
    """A student's items, from its answers to the held-out rows now.

    Raises:
        ModelError: the model cannot be loaded or run.
    """
    spec = asks.model_copy(update={"model": model})
    asked = asked_of(spec, parquet.read_table(Path(spec.rows)))
    forget()
    with track(f"score {short(student)} again", total=len(asked)) as advance:
        replies = ask_local(spec, device, [prompt for _, prompt in asked], advance)
    forget()
    return items_of(judge(spec, row, prompt, reply) for (row, prompt), reply in zip(asked, replies, strict=True))


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
