"""What the worker that reads source files takes, and what it returns.

ReadSpec(files=[SourceFile("train-part-00", "train", "/data/part-00.jsonl")], data=…, task="nli",
         unique_ids=False, out="/store/raw_dataset/…")
ReadResult(counts=ReadCounts(lines=90, rows=88, rejected=2, E005=2), tasks={"nli": 88}, with_reference=0, …)
"""

from distill_dagster.config import DataConfig, TaskName
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.store.result import ACCEPTED, Counts, Result, Spec


class ReadSpec(Spec):
    """Judge every row of some source files: raw.parquet and rejects.parquet."""

    files: list[SourceFile]  # in the order of the rows
    data: DataConfig
    task: TaskName  # of a row that does not name its own
    unique_ids: bool  # refuse a row id that two of the files have
    out: str  # folder for the tables


class ReadCounts(Counts):
    """Rows of the files: lines == rows + rejected. The rejected rows by code follow as further fields."""

    lines: int
    rows: int
    rejected: int

    @property
    def by_code(self) -> dict[str, int]:
        """Code of docs/verdicts.md -> rows that were rejected under it; a code without a row is left out."""
        return dict(self.model_extra or {})


class ReadResult(Result[ReadCounts]):
    """The rows that are in raw.parquet and rejects.parquet; `data_version` is `hashing.rows_hash` of the valid ones."""

    tasks: dict[str, int]  # task -> rows, the most frequent first
    with_reference: int  # rows with a gold answer

    def by_reason(self) -> dict[str, int]:
        """Lines by what became of them."""
        return {ACCEPTED: self.counts.rows, **self.counts.by_code}
