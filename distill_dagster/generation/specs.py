"""What the worker that answers a shard takes and returns."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from distill_dagster.config import (
    SUMMARY_WORDS,
    GenerationConfig,
    Prompting,
    SmokeConfig,
)
from distill_dagster.store.result import ACCEPTED, Billing, Counts, Result, Spec
from distill_dagster.teachers.faculty import Faculty


class GenerateSpec(Spec):
    """Answer one shard: raw.parquet in, teacher.parquet out."""

    faculty: Faculty
    generation: GenerationConfig
    prompting: Prompting = "plain"
    summary_words: int = SUMMARY_WORDS
    choose: str | None = None  # gold | majority | judge: how one of a row's answers is chosen
    smoke: SmokeConfig = SmokeConfig()
    stop_failed_share: float = 0.5
    budget_usd: float | None = None
    rows: str
    labels: list[str] | None = None
    responses: str  # folder of all replies that the project has paid for
    journal: str  # name of this shard's journal in that folder
    out: str

    @property
    def needs_device(self) -> bool:
        """A teacher behind an endpoint needs none."""
        return self.faculty.needs_device

    @property
    def repeats(self) -> bool:
        """The teachers of the next shard are the same."""
        return True


class GenerateCounts(Counts):
    """Lines of teacher.parquet: `requests == ok + failed`; `truncated` and `unparsed` lines are among the ok ones."""

    rows: int  # of raw.parquet
    requests: int
    ok: int
    failed: int
    truncated: int
    unparsed: int
    chosen: int


class AnswerLength(BaseModel):
    """How many answers were chosen, and the median of their characters."""

    model_config = ConfigDict(frozen=True)

    answers: int
    median: float


class GenerateResult(Result[GenerateCounts]):
    """Who answered, which requests were sent now and which before, what they cost, why some failed."""

    teacher: str  # the first one
    teachers: dict[str, int]  # lines by teacher
    asked: int  # requests that were sent now; tokens and cost_usd are theirs
    reused: int  # requests that were answered before
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    seconds: float
    tokens_per_second: float
    billing: Billing | None = None  # None: an older version did not record it
    table_cost_usd: float  # of all replies in the table, whenever they were paid for
    errors: dict[str, int]  # failed lines by code
    finish_reasons: dict[str, int] = {}  # answered lines by finish reason
    estimated: int = 0  # requests of now whose tokens the endpoint did not count, so that they are estimated
    judge_errors: dict[str, int] = {}  # the judge's failed replies by code
    judge_billing: Billing | Literal["nobody asked"] | None = None  # None: an older version did not record it
    judge_cost_usd: float = 0.0  # of all its replies about the table, whenever they were paid for
    answer_length: AnswerLength
    device: str
    dtype: str

    def by_reason(self) -> dict[str, int]:
        """Lines of the table by what became of them."""
        return {ACCEPTED: self.counts.ok, **self.errors}
