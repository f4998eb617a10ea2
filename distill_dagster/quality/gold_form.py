"""Gold answers that the task's parser cannot read, so that every answer to their rows counts as wrong.

"2 of 5 rows have no gold answer in their task's form, such as 'maybe' of row q1 (line 2 of a-00); its labels are …"
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from distill_dagster.config import QualityConfig
from distill_dagster.quality.labels import labels_of
from distill_dagster.tasks import get_task

SHOWN = 8  # labels
COLUMNS = ("row_id", "shard", "task", "reference", "source_line")  # of the rows


@dataclass(slots=True)
class GoldForm:
    """What is known of the gold answers of some rows; `add` takes them in any number of parts."""

    quality: QualityConfig
    gold: int = 0  # rows that have a gold answer
    off_form: int = 0  # rows whose gold answers the parser cannot read
    _example: str = field(default="", init=False)
    _labels: dict[str, list[str] | None] = field(default_factory=dict, init=False)  # by task, if config or task has any

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Read the gold answers of rows with `COLUMNS`."""
        for row in rows:
            if row["reference"]:
                self.gold += 1
                if not self._is_read(row):
                    self.off_form += 1
                    self._example = self._example or self._words(row)

    @property
    def text(self) -> str:
        """How many rows have none that can be read, with the first of them."""
        found = f"{self.off_form:,} of {self.gold:,} rows have no gold answer in their task's form"
        return found + (self._example or "; there should be none")

    def _is_read(self, row: Mapping[str, Any]) -> bool:
        task, labels = get_task(row["task"]), self._labels_of(row["task"])
        return any(task.parse(text, labels) is not None for text in row["reference"])

    def _labels_of(self, task: str) -> list[str] | None:
        if task not in self._labels:
            self._labels[task] = labels_of(task, self.quality, ())
        return self._labels[task]

    def _words(self, row: Mapping[str, Any]) -> str:
        known = self._labels_of(row["task"])
        more = f" and {len(known) - SHOWN:,} more" if known and len(known) > SHOWN else ""
        wanted = f"its labels are {', '.join(known[:SHOWN])}{more}" if known else "there should be none"
        line = "" if row["source_line"] is None else f" (line {row['source_line']} of {row['shard']})"
        return f", such as {row['reference'][0]!r} of row {row['row_id']}{line}; {wanted}"
