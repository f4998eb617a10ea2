"""From the accepted answers to examples.parquet: what depends on all of them is the cap on labels, and two flags.

    draft     row "a", label "neutral", length 7                        written while the answers are judged
    example   row "a", label "neutral", flags ["length", "rare_label"]  or a reject with `label_cap`

The drafts are read twice, once to count lengths and labels, and once to write the examples.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.quality.columns import pc, value_counts
from distill_dagster.quality.examples.balance import over_cap, rare_labels
from distill_dagster.quality.examples.example_table import DRAFT, draft_of
from distill_dagster.quality.filters.candidate import Candidate
from distill_dagster.quality.filters.reasons import reject_row
from distill_dagster.quality.spill import Spill
from distill_dagster.store import parquet, schemas
from distill_dagster.tasks.prompts import Prompt

FLAGS = ("length", "personal_data", "rare_label")
LENGTH, PERSONAL_DATA, RARE_LABEL = 1, 2, 4  # bits of a row's flags
FLAG_LISTS = pa.array(
    [[flag for bit, flag in enumerate(FLAGS) if bits >> bit & 1] for bits in range(2 ** len(FLAGS))],
    pa.list_(pa.string()),
)
OUTER = (0.5, 99.5)  # percentiles
FEWEST = 200  # answers of a task; with fewer, the shortest and the longest would always get the flag
NOT_IN_A_DRAFT = {"error_code": None, "completion_tokens": None, "finish_reason": None}  # of a teacher row


@dataclass(slots=True)
class TaskCounts:
    """The examples of one task."""

    lengths: Counter[Any] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)  # of training rows

    def add(self, table: pa.Table) -> None:
        """Count some of them."""
        self.lengths += value_counts(table.column("length"))
        self.labels += value_counts(table.filter(pc.equal(table.column("split"), "train")).column("label"))


class Examples:
    """Collects the accepted answers inside a `with` block; then `finished` gives the examples.

    That fills `rare_labels` and `label_rows`: task -> label -> training rows, also for labels without an answer.
    """

    def __init__(self, quality: QualityConfig, learn: Learn, spill: Spill) -> None:
        self.quality = quality
        self.learn: Learn = learn
        self._spill, self._path = spill, spill.folder / "draft.parquet"
        self._drafts = parquet.RowWriter(self._path, DRAFT)
        self._labels: dict[str, Counter[str]] = defaultdict(Counter)  # task -> label -> training rows
        self.rare_labels: dict[str, dict[str, int]] = {}  # below quality.min_label_rows
        self.label_rows: dict[str, dict[str, int]] = {}

    def __enter__(self) -> "Examples":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._drafts.__exit__(kind, *error)

    def add(self, candidate: Candidate, prompt: Prompt, replies: Sequence[str], score: float | None) -> None:
        """Add an accepted answer; `replies` are the kept answers to the dialogue's earlier turns."""
        row = draft_of(candidate, prompt, replies, score, self.quality, self.learn)
        self._drafts.append(row)
        if row["split"] == "train" and row["label"] is not None:
            self._labels[row["task"]][row["label"]] += 1

    def finished(self, labels: Mapping[str, Sequence[str] | None], rejects: parquet.RowWriter) -> Iterator[pa.Table]:
        """The examples with their flags (schemas.EXAMPLE), some at a time; those over the cap go to `rejects`.

        `labels` holds each task's label set.

        Raises:
            ConfigError: `quality.max_label_share` cannot be met with the labels of the answers.
        """
        dropped = self._over_cap()
        counts = self._count(dropped)
        for task, own in counts.items():
            self._note_labels(task, own, labels[task] or ())
        limits = {task: _limits(own.lengths) for task, own in counts.items()}
        for table, is_dropped in self._read(DRAFT.names, dropped):
            for row in table.filter(pa.array(is_dropped)).to_pylist():
                rejects.append(_reject(row))
            yield self._flagged(table.filter(pa.array(~is_dropped)), limits)

    def _over_cap(self) -> np.ndarray:
        """Whether the cap drops each draft; (n,) bool."""
        dropped = np.zeros(self._drafts.count, bool)
        if self.quality.max_label_share is not None:
            for position in over_cap(self._path, self._labels, self.quality.max_label_share, self._spill):
                dropped[position] = True
        return dropped

    def _read(self, columns: Sequence[str], dropped: np.ndarray) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """The drafts, a row group at a time, and which of them are dropped."""
        start = 0
        for table in parquet.stream_tables(self._path, columns):
            yield table, dropped[start : start + len(table)]
            start += len(table)

    def _count(self, dropped: np.ndarray) -> dict[str, TaskCounts]:
        counts: dict[str, TaskCounts] = {}
        for table, is_dropped in self._read(["task", "split", "label", "length"], dropped):
            left = table.filter(pa.array(~is_dropped))
            for task in left.column("task").unique().to_pylist():
                counts.setdefault(task, TaskCounts()).add(left.filter(pc.equal(left.column("task"), task)))
        return counts

    def _note_labels(self, task: str, own: TaskCounts, known: Sequence[str]) -> None:
        if own.labels:
            self.label_rows[task] = {label: own.labels[label] for label in sorted({*known, *own.labels})}
            if rare := rare_labels(own.labels, known, self.quality.min_label_rows):
                self.rare_labels[task] = rare

    def _flagged(self, table: pa.Table, limits: Mapping[str, tuple[float, float] | None]) -> pa.Table:
        flags = table.column("has_personal_data").to_numpy().astype(np.uint8) * PERSONAL_DATA
        lengths = table.column("length").to_numpy()
        for task in table.column("task").unique().to_pylist():
            own = pc.equal(table.column("task"), task).to_numpy()
            if (limit := limits[task]) is not None:
                flags[own & ((lengths < limit[0]) | (lengths > limit[1]))] |= LENGTH
            rare = pa.array(sorted(self.rare_labels.get(task, ())), pa.string())
            flags[own & pc.is_in(table.column("label"), rare).to_numpy()] |= RARE_LABEL
        return table.append_column("flags", FLAG_LISTS.take(pa.array(flags))).select(schemas.EXAMPLE.names)


def _limits(lengths: Mapping[int, int]) -> tuple[float, float] | None:
    """The `OUTER` percentiles; None for fewer than `FEWEST` lengths."""
    if sum(lengths.values()) < FEWEST:
        return None
    low, high = percentiles(lengths, OUTER)
    return low, high


def percentiles(counts: Mapping[int, int], percents: Sequence[float]) -> list[float]:
    """As `np.percentile`, where `counts` says how often each number occurs."""
    numbers = np.array(sorted(counts), np.int64)
    ends = np.cumsum([counts[number] for number in numbers.tolist()])
    found = []
    for percent in percents:
        place, share = divmod((int(ends[-1]) - 1) * (percent / 100), 1)
        below, above = (
            int(numbers[np.searchsorted(ends, min(at, ends[-1] - 1), "right")]) for at in (place, place + 1)
        )
        gap = above - below
        found.append(below + gap * share if share < 0.5 else above - gap * (1 - share))
    return found


def _reject(row: Mapping[str, Any]) -> dict[str, Any]:
    """The reject of a draft over the cap."""
    teacher = {
        **NOT_IN_A_DRAFT,
        **{name: row[name] for name in ("row_id", "sample", "turn")},
        "raw_text": row["snippet"],
    }
    return reject_row(teacher, row, "label_cap", repr(row["label"]))
