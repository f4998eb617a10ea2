"""What the worker that measures one model takes."""

from distill_dagster.config import (
    SUMMARY_WORDS,
    EvaluationConfig,
    Prompting,
    Section,
)
from distill_dagster.models.ref import ModelRef


class BenchmarkSpec(Section):
    """Measure one model on the held-out rows: predictions.parquet and benchmark.json out."""

    role: str  # teacher | baseline | student
    model: ModelRef
    rows: str
    max_new_tokens: int
    prompting: Prompting = "plain"  # the teacher is measured as it teaches
    summary_words: int = SUMMARY_WORDS
    labels: list[str] | None = None
    evaluation: EvaluationConfig
    responses: str  # as in GenerateSpec; read where the model stands behind an endpoint
    stop_failed_share: float = 0.5
    budget_usd: float | None = None
    out: str
