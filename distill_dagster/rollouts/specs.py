"""What the workers of a round take and return, before its training.

SampleSpec           ->  sample_rollouts   ->  SampleResult      student_rollouts_1
CaptureRolloutsSpec  ->  capture_rollouts  ->  CaptureResult     rollout_logits_1
"""

from distill_dagster.config import LogitsConfig, OnPolicyConfig
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import Counts, Result, Spec


class SampleSpec(Spec):
    """Sample the student on training prompts: examples.parquet in, rollouts.parquet out."""

    student: ModelRef
    rounds: OnPolicyConfig
    round: int
    max_new_tokens: int
    examples: str
    out: str
    work: str  # holds the journal of an unfinished run


class SampleCounts(Counts):
    """`prompts == rollouts + rejected`, `rollouts == stop + length + repetition`."""

    prompts: int
    rollouts: int
    stop: int  # ended with an end token
    length: int  # reached `max_new_tokens`
    repetition: int  # got into a loop
    rejected: int


class SampleResult(Result[SampleCounts]):
    """How much was sampled, and with which tokenizer."""

    tokens: int  # of all rollouts
    tokens_per_second: float  # of those that were sampled now
    resumed: int  # rollouts that an earlier, unfinished run had sampled
    errors: dict[str, int]  # refused prompts by code
    tokenizer_hash: str
    device: str
    dtype: str


class CaptureRolloutsSpec(Spec):
    """Read the rollouts with the teacher: rollouts.parquet in, logits.parquet out."""

    teacher: ModelRef
    logits: LogitsConfig
    student: ModelRef | None  # its k likeliest tokens are kept too; None: only the teacher's
    sampled_by: ModelRef  # the student whose tokens the rollouts are
    stage: str  # as the rejects name it
    rollouts: str
    out: str
