"""What the worker that captures a shard's distributions takes."""

from distill_dagster.config import (
    LogitsConfig,
)
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import Spec


class CaptureSpec(Spec):
    """Read one shard's answers for their distributions: raw.parquet and teacher.parquet in, logits.parquet out."""

    model: ModelRef
    logits: LogitsConfig
    rows: str
    answers: str
    out: str
