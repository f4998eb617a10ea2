"""What the validated set and the gold set share: from answers beside their raw rows to examples and rejects.

    raw rows, sorted ─ PromptIndex ─ entries ─ answers_to ─ Selection ─┬─ Examples ─ examples.parquet
                                                                       └─ rejects.parquet

Rows stream from file to file in the order of row ids. Only the held-out items are in memory as a whole (spill.py).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.config import QualityConfig
from distill_dagster.process import uncollected
from distill_dagster.quality.columns import RAW_ORDER, RAW_USED
from distill_dagster.quality.duplicates.kept_rows import KeptRows
from distill_dagster.quality.duplicates.prompt_index import Entry, PromptIndex
from distill_dagster.quality.examples.example_table import with_answers
from distill_dagster.quality.examples.facts import ExampleTally, SetTally, facts_of
from distill_dagster.quality.examples.finishing import Examples
from distill_dagster.quality.filters.candidate import Candidate
from distill_dagster.quality.filters.reasons import reject_row
from distill_dagster.quality.filters.row_filters import Filter
from distill_dagster.quality.labels import labels_of
from distill_dagster.quality.selection import AskedRow, Selection
from distill_dagster.quality.specs import GoldSetSpec, SetFacts, SetSpec
from distill_dagster.quality.spill import Spill
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.tasks import get_task

Answers = Iterable[tuple[dict[str, Any], AskedRow | None]]


@dataclass(frozen=True, slots=True)
class Making:
    """How the answers of one kind of set are found and judged."""

    stage: str
    filters: tuple[Filter, ...]
    answers_to: Callable[[Iterator[Entry]], Answers]  # takes every entry, and gives the answers in the same order


@dataclass(frozen=True, slots=True)
class MadeSet:
    """What was written: `counts` are rows, those of rejects by reason."""

    data_version: str
    counts: dict[str, int]
    facts: SetFacts


class _Rejects(parquet.RowWriter):
    def __init__(self, path: Path, stage: str) -> None:
        super().__init__(path, schemas.REJECT)
        self.stage = stage
        self.reasons: Counter[str] = Counter()

    def append(self, row: Mapping[str, Any]) -> None:
        self.reasons[row["code"]] += 1
        super().append({**row, "stage": self.stage})


def tables_of(paths: Iterable[str], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Those columns of all files, some rows at a time."""
    for path in paths:
        yield from parquet.stream_tables(Path(path), columns)


def make_set(spec: SetSpec | GoldSetSpec, spill: Spill, making: Making) -> MadeSet:
    """Write the examples and the rejects of the answers to the shards' raw rows.

    Raises:
        DataError: a table is torn, or the disk is full.
        ConfigError: `quality.max_label_share` cannot be met with the labels of the answers.
    """
    raw = spill.sort("raw", tables_of(spec.raw, RAW_USED.names), RAW_USED, RAW_ORDER)
    spill.rest()
    test = (row for table in tables_of([spec.test], ["row_id", "task", "messages"]) for row in table.to_pylist())
    with uncollected():
        index = PromptIndex(raw, test, spec.quality, spill)
        spill.rest()
        rows = KeptRows(spill.folder, index.room, spec.quality.near_duplicate_similarity)
        labels = label_sets(raw, index.tasks, spec.quality)
        selection = Selection(spec.quality, spec.learn, labels, rows, making.filters)
        try:
            return _write(spec, spill, making, index, selection)
        finally:
            rows.close()


def _write(
    spec: SetSpec | GoldSetSpec, spill: Spill, making: Making, index: PromptIndex, selection: Selection
) -> MadeSet:
    out, examples, found = Path(spec.out), Examples(spec.quality, spec.learn, spill), ExampleTally()
    path = out / files.REJECTS_FILE
    with parquet.writing(path), _Rejects(path, making.stage) as rejects:
        with examples:
            tally = _judge(selection, making.answers_to(index.entries()), examples, rejects)
        finished = examples.finished(selection.labels, rejects)
        version = hashing.rows_hash(_written(finished, out / files.EXAMPLES_FILE, found))
    kept = _gold_scores(out / files.EXAMPLES_FILE)
    counts = {
        "examples": found.examples,
        "train": found.splits["train"],
        "validation": found.splits["validation"],
        "rejected": rejects.count,
        **dict(sorted(rejects.reasons.items())),
    }
    return MadeSet(version, counts, facts_of(tally, found, examples, index, kept))


def label_sets(raw: Path, tasks: Iterable[str], quality: QualityConfig) -> dict[str, list[str] | None]:
    """Task -> its label set, for each task of the raw rows."""
    return {task: labels_of(task, quality, _gold(raw, task)) for task in sorted(tasks)}


def _gold(raw: Path, task: str) -> Iterator[dict[str, Any]]:
    """The rows that decide a task's label set, where gold answers do."""
    for table in parquet.stream_tables(raw, ["split", "task", "reference"]) if get_task(task).labels_from_gold else ():
        yield from (row for row in table.to_pylist() if row["task"] == task)


def _judge(selection: Selection, answers: Answers, examples: Examples, rejects: parquet.RowWriter) -> SetTally:
    tally = SetTally()
    for row, asked in answers:
        candidate = selection.candidate(row, asked)
        refused = selection.reason(row, asked, candidate)
        score = _score(candidate)
        tally.count(row, candidate, score, refused[0] if refused else None)
        if refused is not None:
            rejects.append(reject_row(row, candidate.raw if candidate else None, *refused))
        elif candidate is not None and asked is not None:
            examples.add(candidate, asked.prompts[row["turn"]], selection.keep(asked, candidate), score)
    return tally


def _score(candidate: Candidate | None) -> float | None:
    """The task's score against gold, 0 for an unparsable text; None without an answer or without gold."""
    if candidate is None or candidate.teacher["status"] != "ok" or not candidate.reference:
        return None
    return candidate.task.score(candidate.answer, candidate.reference, candidate.labels)


def _written(examples: Iterable[pa.Table], path: Path, found: ExampleTally) -> Iterator[dict[str, Any]]:
    """Write and count the examples, and give their rows as the data version hashes them."""
    with parquet.writing(path), parquet.TableWriter(path, schemas.EXAMPLE) as writer:
        for table in examples:
            if len(table):
                writer.write(with_answers(table))
                found.add(table)
                yield from table.to_pylist()


def _gold_scores(path: Path) -> Iterator[float]:
    """The gold scores of the training rows."""
    for table in parquet.stream_tables(path, ["split", "gold_score"]):
        scores = zip(table.column("split").to_pylist(), table.column("gold_score").to_pylist(), strict=True)
        yield from (score for split, score in scores if split == "train" and score is not None)
