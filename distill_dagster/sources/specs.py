"""What the worker that judges source files takes."""

from distill_dagster.config import DataConfig, TaskName
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.store.result import Spec


class ReadSpec(Spec):
    """Judge every row of some source files: raw.parquet and rejects.parquet out."""

    sources: list[SourceFile]
    data: DataConfig
    task: TaskName
    out: str
