"""The accepted answers as the rows of the set: what the student learns, and flags on rows that deserve a look.

    gold_score   0 … 1 against the row's gold answers; null without gold answers
    flags        length         the answer is outside the 0.5 to 99.5 percentiles of its task's answers in this set
                 personal_data  the example holds a secret or personal data (`redact` replaces it)
                 rare_label     the label has fewer training rows than quality.min_label_rows

A flag refuses nothing: an unusually long answer to a long prompt is a good row that deserves a look.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.quality.columns import Growing, pc, value_counts
from distill_dagster.quality.examples.balance import over_cap, rare_labels
from distill_dagster.quality.filters.candidate import Candidate
from distill_dagster.quality.filters.reasons import reject_row
from distill_dagster.redaction import find, redact
from distill_dagster.store import schemas
from distill_dagster.tasks.prompts import Prompt, with_replies

FLAGS = ("length", "personal_data", "rare_label")
LENGTH, PERSONAL_DATA, RARE_LABEL = 1, 2, 4  # bits of a row's flags
OUTER = (0.5, 99.5)  # percentiles
FEWEST = 200  # answers of a task; with fewer, the shortest and the longest would always get the flag

SCHEMA = pa.schema([field for field in schemas.EXAMPLE if field.name != "flags"])


class Examples:
    """Collects the examples; once all have been added, `cap` and then `table` finish the set.

    `table` fills `rare_labels` and `label_rows`: task -> label -> training rows, also for labels without an answer.
    """

    def __init__(self, quality: QualityConfig, learn: Learn) -> None:
        self.quality = quality
        self.learn: Learn = learn
        self._rows = Growing(SCHEMA)
        self._lengths, self._flags = array("q"), bytearray()
        self._capped: set[int] = set()
        self._balanced: list[dict[str, Any]] = []  # filled with a cap: what it compares, and the reject if it drops it
        self.rare_labels: dict[str, dict[str, int]] = {}  # below quality.min_label_rows
        self.label_rows: dict[str, dict[str, int]] = {}

    def add(self, candidate: Candidate, prompt: Prompt, replies: Sequence[str], score: float | None) -> None:
        """Add an accepted answer; `replies` are the kept answers to the dialogue's earlier turns."""
        raw, teacher, answer = candidate.raw, candidate.teacher, candidate.answer
        assert answer is not None, "the filters refuse a text that does not parse"
        row = {
            "row_id": raw["row_id"],
            "sample": teacher["sample"],
            "turn": teacher["turn"],
            "shard": raw["shard"],
            "split": raw["split"],
            "task": raw["task"],
            "messages": with_replies(prompt, replies),
            "answer": answer,
            "reasoning": candidate.reading.reasoning,
            "reference": list(candidate.reference),
            "label": candidate.task.label(answer),
            "gold_score": score,
        }
        found = self.quality.personal_data in ("flag", "redact") and any(map(find, (*candidate.learned, *replies)))
        if found and self.quality.personal_data == "redact":
            _redact(row, whole=not candidate.task.exact)
        row["answer"] = candidate.task.teach(row["answer"], row["reasoning"], self.learn)
        self._rows.append(row)
        self._lengths.append(len(candidate.text))
        self._flags.append(PERSONAL_DATA if found else 0)
        if self.quality.max_label_share is not None:
            reject = reject_row(teacher, raw, "label_cap", repr(row["label"]))
            self._balanced.append({name: row[name] for name in _BALANCED} | {"reject": reject})

    def cap(self) -> list[dict[str, Any]]:
        """Drop the examples over `quality.max_label_share`; returns their rejects."""
        self._capped = over_cap(self._balanced, self.quality.max_label_share)
        rejects = [self._balanced[i]["reject"] for i in sorted(self._capped)]
        self._balanced = []
        return rejects

    def table(self, labels: Mapping[str, Sequence[str] | None]) -> pa.Table:
        """The remaining examples with their flags (schemas.EXAMPLE); `labels` holds each task's label set."""
        table, flags = self._rows.table(), np.frombuffer(bytes(self._flags), np.uint8).copy()
        lengths = np.frombuffer(self._lengths, np.int64) if self._lengths else np.empty(0, np.int64)
        if self._capped:
            left = np.ones(len(table), bool)
            left[sorted(self._capped)] = False
            table, flags, lengths = table.filter(pa.array(left)), flags[left], lengths[left]
        for task in table.column("task").unique().to_pylist():
            own = pc.equal(table.column("task"), task).to_numpy()
            flags[np.flatnonzero(own)[_outliers(lengths[own])]] |= LENGTH
            rare = self._rare_of(table, task, labels[task] or ())
            is_rare = pc.is_in(table.column("label"), pa.array(sorted(rare), pa.string())).to_numpy()
            flags[own & is_rare] |= RARE_LABEL
        names = [[flag for bit, flag in enumerate(FLAGS) if bits >> bit & 1] for bits in range(2 ** len(FLAGS))]
        column = pa.array(names, pa.list_(pa.string())).take(pa.array(flags))
        return table.append_column("flags", column).select(schemas.EXAMPLE.names)

    def _rare_of(self, table: pa.Table, task: str, known: Sequence[str]) -> dict[str, int]:
        own = table.filter(pc.and_(pc.equal(table.column("task"), task), pc.equal(table.column("split"), "train")))
        counts = value_counts(own.column("label"))
        rare = rare_labels(counts, known, self.quality.min_label_rows) if counts else {}
        if rare:
            self.rare_labels[task] = rare
        if counts:
            self.label_rows[task] = {label: counts[label] for label in sorted({*known, *counts})}
        return rare


_BALANCED = ("row_id", "sample", "turn", "split", "task", "label")


def _outliers(lengths: np.ndarray) -> np.ndarray:
    """Whether each length lies outside the `OUTER` percentiles; (n,) bool."""
    if len(lengths) < FEWEST:
        return np.zeros(len(lengths), bool)
    low, high = np.percentile(lengths, OUTER)
    return (lengths < low) | (lengths > high)


def _redact(row: dict[str, Any], *, whole: bool) -> None:
    """Replace secrets and personal data in an example; an answer that is a label or a number stays as it was judged."""
    row["messages"] = [{**message, "content": redact(message["content"])} for message in row["messages"]]
    row["reasoning"] = redact(row["reasoning"]) if row["reasoning"] else row["reasoning"]
    if whole:
        row["answer"] = redact(row["answer"])


def with_answers(table: pa.Table) -> pa.Table:
    """The examples (schemas.EXAMPLE) as they are published: each one's `messages` end with its answer.

    So trainers that learn conversations can read the file. The data version is that of the examples without, because
    the answer has a column.
    """
    messages = table.column("messages").combine_chunks()
    answers = pa.StructArray.from_arrays(
        [pa.repeat("assistant", len(table)), table.column("answer").combine_chunks()], ["role", "content"]
    )
    said = pa.concat_arrays([messages.flatten(), answers])
    lengths = messages.value_lengths().to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)  # among the messages
    order = np.insert(np.arange(ends[-1] if len(ends) else 0), ends, np.arange(len(table)) + len(messages.flatten()))
    offsets = np.concatenate([[0], np.cumsum(lengths + 1)])
    joined = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), said.take(pa.array(order, pa.int64())))
    return table.set_column(table.schema.get_field_index("messages"), schemas.EXAMPLE.field("messages"), joined)
