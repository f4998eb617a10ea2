"""The set that the student learns: every teacher row that is an answer, once, and not to a prompt of the test set.

    raw row      row_id "a", messages [user "Premise: … Hypothesis: …"], reference ["neutral"]
    teacher row  row_id "a", sample 0, turn 0, raw_text "Label: Neutral."
    example      row_id "a", sample 0, turn 0, messages [user …], answer "neutral", label "neutral"

The parser reads each text with the prompting that the teacher row records. The example keeps the row's own messages:
the student trains with the user's system prompt, and never sees the one that asked the teacher for JSON. With
`learn: reasoning_and_answer` the example's answer is "The premise is silent on it.\\n\\nAnswer: neutral".

Every teacher row becomes one example or one reject, so teacher_rows == examples + rejected. The order of the inputs
does not matter. A refused row has one reason: the first that applies, in the order of `reasons.REASONS`.

Rows stream from file to file in the order of row ids (spill.py), and are never in memory as a whole. The raw rows are
read twice, first to compare their prompts (prompt_index.py), then side by side with the teacher rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.quality.columns import TEACHER_ORDER, TEACHER_USED
from distill_dagster.quality.duplicates.prompt_index import Entry
from distill_dagster.quality.filters.reasons import STAGE
from distill_dagster.quality.filters.row_filters import FILTERS
from distill_dagster.quality.making import Answers, Making, make_set, tables_of
from distill_dagster.quality.selection import AskedRow
from distill_dagster.quality.specs import SetCounts, SetResult, SetSpec
from distill_dagster.quality.spill import Spill
from distill_dagster.store import parquet


def build_set(spec: SetSpec, device: str) -> SetResult:
    """The worker: make the set from the shards' files. It needs no device and ignores `device`.

    Raises:
        DataError: a table is torn, or the disk is full.
        ConfigError: `quality.max_label_share` cannot be met with the labels of the answers.
    """
    with Spill(Path(spec.work)) as spill:
        teacher = spill.sort("teacher", _chosen(spec.teacher), TEACHER_USED, TEACHER_ORDER)
        made = make_set(spec, spill, Making(STAGE, FILTERS, partial(side_by_side, teacher)))
    counts = SetCounts(teacher_rows=made.counts["examples"] + made.counts["rejected"], **made.counts)
    return SetResult(data_version=made.data_version, counts=counts, shards=len(spec.raw), **dict(made.facts))


def _chosen(paths: Sequence[str]) -> Iterator[pa.Table]:
    """The answers that may train."""
    for table in tables_of(paths, [*TEACHER_USED.names, "chosen"]):
        yield table.filter(table.column("chosen")).drop_columns("chosen")


def side_by_side(teacher: Path, entries: Iterator[Entry]) -> Answers:
    """Each teacher row with the raw row of its id, or None without one; both sides come in the order of row ids."""
    asked: AskedRow | None = None
    entry = next(entries, None)
    for answer in _rows(teacher):
        while entry is not None and entry.row["row_id"] < answer["row_id"]:
            entry = next(entries, None)
        if entry is None or entry.row["row_id"] != answer["row_id"]:
            asked = None
        elif asked is None or asked.entry is not entry:
            asked = AskedRow.of(entry)
        yield answer, asked
    for _ in entries:  # a row without an answer counts as contaminated too
        pass


def _rows(teacher: Path) -> Iterable[dict[str, Any]]:
    for table in parquet.stream_tables(teacher, TEACHER_USED.names):
        yield from table.to_pylist()
