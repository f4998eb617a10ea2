"""What the worker that measures one model takes."""

from distill_dagster.config import (
    SUMMARY_WORDS,
    EvaluationConfig,
    Prompting,
)
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import Spec


class BenchmarkSpec(Spec):
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

    @property
    def needs_device(self) -> bool:
        """A model behind an endpoint needs none."""
        return self.model.endpoint is None
