"""What the worker that lets the teacher answer a shard takes."""

from distill_dagster.config import (
    SUMMARY_WORDS,
    GenerationConfig,
    Prompting,
    SmokeConfig,
)
from distill_dagster.store.result import Spec
from distill_dagster.teachers.faculty import Faculty


class GenerateSpec(Spec):
    """Let the teacher answer one shard: raw.parquet in, teacher.parquet out."""

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
    journal: str  # name of this shard's journal in it
    out: str

    @property
    def needs_device(self) -> bool:
        """A teacher behind an endpoint needs none."""
        return self.faculty.needs_device
