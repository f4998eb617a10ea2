"""The set that the student learns: every teacher row that is an answer, once, and not to a prompt of the test set.

    raw row      row_id "a", messages [user "Premise: … Hypothesis: …"], reference ["neutral"]
    teacher row  row_id "a", sample 0, turn 0, raw_text "Label: Neutral."
    example      row_id "a", sample 0, turn 0, messages [user …], answer "neutral", label "neutral"

The parser reads each text with the prompting that the teacher row records. The example keeps the row's own messages:
the student trains with the user's system prompt, and never sees the one that asked the teacher for JSON. With
`learn: reasoning_and_answer` the example's answer is "The premise is silent on it.\\n\\nAnswer: neutral".

Every teacher row becomes one example or one reject, so teacher_rows == examples + rejected. The order of the inputs
does not matter. A refused row has one reason: the first that applies, in the order of `reasons.REASONS`.

The raw rows are read twice, first to compare their prompts (prompt_index.py), then side by side with the teacher rows.
Both passes follow the row ids. Apart from the Arrow tables, no more than a block of each table is in memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.process import uncollected
from distill_dagster.quality.columns import (
    RAW_USED,
    TEACHER_ORDER,
    TEACHER_USED,
    Growing,
    Rows,
    ordered,
    pc,
    table_of,
    value_counts,
    walk,
)
from distill_dagster.quality.duplicates.prompt_index import PromptIndex
from distill_dagster.quality.examples.example_table import Examples, with_answers
from distill_dagster.quality.examples.facts import SetTally, facts_of
from distill_dagster.quality.filters.candidate import Candidate
from distill_dagster.quality.filters.reasons import reject_row
from distill_dagster.quality.labels import labels_of
from distill_dagster.quality.selection import AskedRow, Selection
from distill_dagster.quality.specs import SetCounts, SetFacts, SetResult, SetSpec
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.tasks import get_task
from distill_dagster.tasks.prompts import prompts_of


@dataclass(frozen=True, slots=True)
class SyntheticSet:
    """The set in memory: examples (schemas.EXAMPLE), rejects (schemas.REJECT), and what is known of them."""

    table: pa.Table
    rejected: pa.Table
    counts: SetCounts
    facts: SetFacts

    @property
    def examples(self) -> list[dict[str, Any]]:
        """The examples as dictionaries."""
        return self.table.to_pylist()

    @property
    def rejects(self) -> list[dict[str, Any]]:
        """The rejects as dictionaries."""
        return self.rejected.to_pylist()


def build_set(spec: SetSpec, device: str) -> SetResult:
    """The worker: make the set from the shards' files. It needs no device and ignores `device`.

    Raises:
        DataError: a table is torn, or the disk is full.
        ConfigError: as `select_examples`.
    """
    built = select_examples(
        raw=load_all(spec.raw, RAW_USED.names),
        teacher=_chosen(load_all(spec.teacher, [*TEACHER_USED.names, "chosen"])),
        test=parquet.load_table(Path(spec.test)),
        quality=spec.quality,
        learn=spec.learn,
    )
    parquet.save_table(Path(spec.out) / files.EXAMPLES_FILE, with_answers(built.table))
    parquet.save_table(Path(spec.out) / files.REJECTS_FILE, built.rejected)
    version = hashing.rows_hash(parquet.rows_of(built.table))
    return SetResult(data_version=version, counts=built.counts, shards=len(spec.raw), **dict(built.facts))


def load_all(paths: Sequence[str], columns: Sequence[str]) -> pa.Table:
    """Those columns of all files as one table."""
    return pa.concat_tables(parquet.load_table(Path(path), columns) for path in paths)


def _chosen(answers: pa.Table) -> pa.Table:
    return answers.filter(answers.column("chosen"))


def select_examples(
    raw: Rows, teacher: Rows, test: Rows, quality: QualityConfig, learn: Learn = "answer"
) -> SyntheticSet:
    """Filter, deduplicate, decontaminate and balance the answers to the rows of all shards; `learn` shapes the targets.

    Raises:
        ConfigError: `quality.max_label_share` cannot be met with the labels of the answers.
    """
    with uncollected():
        raw, teacher = table_of(raw, RAW_USED), table_of(teacher, TEACHER_USED)  # lets the originals be freed
        return _select(raw, teacher, test, quality, learn)


def _select(raw: pa.Table, answers: pa.Table, test: Rows, quality: QualityConfig, learn: Learn) -> SyntheticSet:
    selection = Selection(quality, learn, label_sets(raw, quality), PromptIndex(raw, test, quality))
    asked = _side_by_side(selection.index, walk(answers, ordered(answers, TEACHER_ORDER)))
    examples, rejects, tally = judge_answers(selection, asked)
    table, rejected = examples.table(selection.labels), rejects.table()
    answered = pc.sum(pc.equal(answers.column("status"), "ok")).as_py() or 0
    facts = facts_of(table, tally, examples, selection.index, answered)
    return SyntheticSet(table, rejected, _counts(len(answers), table, rejected), facts)


def label_sets(raw: pa.Table, quality: QualityConfig) -> dict[str, list[str] | None]:
    """Task -> its label set, for each task of the raw rows."""
    tasks = sorted(raw.column("task").unique().to_pylist())
    return {task: labels_of(task, quality, _gold(raw, task)) for task in tasks}


def judge_answers(
    selection: Selection, answers: Iterable[tuple[dict[str, Any], AskedRow | None]]
) -> tuple[Examples, Growing, SetTally]:
    """The examples and the rejects of answers, each beside its raw row; they come in the order of row ids."""
    examples, rejects, tally = Examples(selection.quality, selection.learn), Growing(schemas.REJECT), SetTally()
    for row, asked in answers:
        candidate = selection.candidate(row, asked)
        refused = selection.reason(row, asked, candidate)
        score = _score(candidate)
        tally.count(candidate, score, refused[0] if refused else None)
        if refused is not None:
            rejects.append(reject_row(row, candidate.raw if candidate else None, *refused))
        elif candidate is not None and asked is not None:
            examples.add(candidate, asked.prompts[row["turn"]], selection.keep(asked, candidate), score)
    rejects.extend(examples.cap())
    return examples, rejects, tally


def _side_by_side(
    index: PromptIndex, teacher: Iterable[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], AskedRow | None]]:
    """Each teacher row with the raw row of its id, or None without one; both sides come in the order of row ids."""
    raw = enumerate(walk(index.raw, index.places))
    asked: AskedRow | None = None
    number, row = next(raw, (-1, None))
    for answer in teacher:
        while row is not None and row["row_id"] < answer["row_id"]:
            number, row = next(raw, (-1, None))
        if row is None or row["row_id"] != answer["row_id"]:
            asked = None
        elif asked is None or asked.number != number:
            asked = AskedRow(number, row, get_task(row["task"]), prompts_of(row))
        yield answer, asked


def _score(candidate: Candidate | None) -> float | None:
    """The task's score against gold, 0 for an unparsable text; None without an answer or without gold."""
    if candidate is None or candidate.teacher["status"] != "ok" or not candidate.reference:
        return None
    return candidate.task.score(candidate.answer, candidate.reference, candidate.labels)


def _gold(raw: pa.Table, task: str) -> Iterator[dict[str, Any]]:
    """The rows that decide a task's label set, where gold answers do."""
    if get_task(task).labels_from_gold:
        columns = raw.select(["split", "task", "reference"])
        yield from walk(columns, pc.indices_nonzero(pc.equal(columns.column("task"), task)))


def _counts(teacher_rows: int, examples: pa.Table, rejects: pa.Table) -> SetCounts:
    return SetCounts(teacher_rows=teacher_rows, **counts_of(examples, rejects))


def counts_of(examples: pa.Table, rejects: pa.Table) -> dict[str, int]:
    """How many rows are examples, how many of them train, and how many were refused, by reason."""
    splits, reasons = value_counts(examples.column("split")), value_counts(rejects.column("code"))
    return {
        "examples": len(examples),
        "train": splits["train"],
        "validation": splits["validation"],
        "rejected": len(rejects),
        **dict(sorted(reasons.items())),
    }
