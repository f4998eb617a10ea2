"""What the worker that asks the judge takes, and what it says."""

from pathlib import Path

from pydantic import BaseModel

from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import Billing, Counts, Result, Spec


class JudgeSpec(Spec):
    """Compare the student's answers with the teacher's; the worker writes judgement.json into `out`."""

    judge: ModelRef
    teacher: str  # predictions.parquet
    student: str
    rows: str  # raw.parquet of the held-out rows, for the prompts and the gold answers
    prompts: int
    seed: int
    resamples: int
    responses: str
    stop_failed_share: float = 0.5
    budget_usd: float | None = None
    out: str

    @property
    def needs_device(self) -> bool:
        """The judge runs behind an endpoint."""
        return False


class Canary(BaseModel, frozen=True):
    """A gold answer against another text that is certainly worse, or against itself."""

    row_id: str
    against: str  # the other text; "the gold answer" where it is that
    right: bool


class JudgeCounts(Counts):
    """Prompts by what both orders say of them; `identical` answers are ties that nobody was asked about."""

    prompts: int = 0
    student: int = 0  # the student's answer is better in both orders
    teacher: int = 0
    ties: int = 0  # the two orders disagree
    identical: int = 0
    unread: int = 0  # a reply names no answer, or a request failed


class Judgement(BaseModel):
    """The judge's word. `score` is the share of prompts that the student wins, ties as half; None if it is void."""

    judge: str
    revision: str
    canaries: list[Canary]
    trusted: bool
    reason: str | None = None  # why its word does not count
    score: float | None = None
    low: float | None = None
    high: float | None = None


class JudgementTable(Judgement):
    """judgement.json: the judge's word with its counts."""

    counts: JudgeCounts


def read_judgement(path: Path) -> JudgementTable:
    """The judge's word in a judgement.json."""
    return JudgementTable.model_validate_json(path.read_text(encoding="utf-8"))


class JudgeResult(Judgement, Result[JudgeCounts]):
    """What `judge_answers` says."""

    billing: Billing | None = None  # None: an earlier version did not record it
    cost_usd: float | None = None  # of all replies, whenever they were paid for; None as above
