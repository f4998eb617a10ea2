"""What the worker that captures a shard's distributions takes and returns."""

from distill_dagster.config import (
    LogitsConfig,
)
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import Counts, Result, Spec


class CaptureSpec(Spec):
    """Read one shard's answers for their distributions: raw.parquet and teacher.parquet in, logits.parquet out."""

    model: ModelRef
    logits: LogitsConfig
    rows: str
    answers: str
    out: str

    @property
    def repeats(self) -> bool:
        """The teacher of the next shard is the same."""
        return True


class CaptureCounts(Counts):
    """Lines of teacher.parquet: `requests == not_learned + captured + rejected`."""

    requests: int
    not_learned: int  # failed, or not the chosen one of a row's answers
    captured: int
    rejected: int


class CaptureResult(Result[CaptureCounts]):
    """What the captured distributions are of, their size, how much mass the k tokens hold, why answers were refused."""

    k: int
    vocab_size: int
    precision: str  # lossless | compact
    temperature: float
    tokenizer_hash: str
    teacher_revision: str
    tokens: int  # of all captured answers
    tokens_per_second: float
    kept_mass: float  # of the k tokens, mean over all tokens: 0 … 1
    retokenized: int  # answers whose number of tokens is not the one that the teacher generated
    errors: dict[str, int]  # refused answers by code
    head_apart: bool  # whether the logits are exactly the head over the model's body
    device: str
    dtype: str
