"""What the worker that measures one model takes, and what it says of the model.

`Benchmark` is benchmark.json, field by field. Worked example (shortened):

    {"role": "student", "model": {"name": "llama-145k", "revision": "…", "dtype": "auto", "parameters": 144624},
     "score": 0.912, "interval": [0.878, 0.937], "interval_method": "score", "items": 400,
     "by_task": {"nli": {"headline": "accuracy", "score": 0.912, "metrics": {"accuracy": 0.912, "macro_f1": 0.909},
                         "items": 400, "interval": [0.878, 0.937]}},
     "rows": 402, "predictions": 402, "unparsable": 3, "truncated": 1, "failed": 0, "unscored": 2,
     "max_new_tokens": 64, "prompting": "plain", "labels": ["entailment", …], "bytes_on_disk": 708112,
     "parameters": 144624, "dtype": "float32", "device": "cpu", "versions": {"python": "3.11.7", …}}

A number that only an endpoint's provider knows is None. `speed/` says how fast the models are and what they occupy; a
benchmark.json of an earlier version says it too, and those keys are ignored.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from distill_dagster.config import SUMMARY_WORDS, EvaluationConfig, MeasuredRole, Prompting
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import Billing, Counts, Result, Spec

Ends = tuple[float, float]  # low and high end of an interval


class BenchmarkSpec(Spec):
    """Measure one model on the held-out rows; the worker writes predictions.parquet and benchmark.json into `out`."""

    role: MeasuredRole
    model: ModelRef
    rows: str
    max_new_tokens: int
    prompting: Prompting = "plain"  # the teacher is measured with the prompting that it teaches with
    summary_words: int = SUMMARY_WORDS
    labels: list[str] | None = None
    evaluation: EvaluationConfig
    responses: str  # the folder of stored replies; read only if the model runs behind an endpoint
    stop_failed_share: float = 0.5
    budget_usd: float | None = None
    out: str

    @property
    def needs_device(self) -> bool:
        """Whether the model runs on this machine; one behind an endpoint needs no device."""
        return self.model.endpoint is None


class TurnScore(BaseModel, frozen=True):
    """The mean score of one turn, from 0, over the conversations that have it."""

    turn: int
    answers: int
    score: float


class TaskScore(BaseModel, frozen=True):
    """One task's scores. `metrics` are means over turns, `score` and `interval` are over items."""

    headline: str  # the metric whose mean is the score
    score: float
    metrics: dict[str, float]
    items: int
    interval: Ends
    by_turn: list[TurnScore] = Field(default=[], exclude_if=lambda turns: not turns)  # of conversations


class Scores(BaseModel, frozen=True):
    """The mean over all items, its interval, and each task's scores."""

    score: float
    interval: Ends
    interval_method: Literal["wilson", "score", "bootstrap"]
    items: int
    by_task: dict[str, TaskScore]


class ModelIdentity(BaseModel, frozen=True):
    """Which model was measured; `parameters` is 0 if the reference does not say."""

    name: str
    revision: str
    dtype: str
    parameters: int


class Benchmark(BaseModel):
    """One model's benchmark.json, in the order of its keys; the groups are `Scores`, the counts, and how it ran."""

    model_config = ConfigDict(frozen=True)

    role: MeasuredRole
    model: ModelIdentity

    score: float
    interval: Ends
    interval_method: Literal["wilson", "score", "bootstrap"]
    items: int
    by_task: dict[str, TaskScore]

    rows: int
    predictions: int
    unparsable: int
    truncated: int
    failed: int
    unscored: int

    max_new_tokens: int
    prompting: Prompting = "plain"
    labels: list[str] | None = None  # the label set that the answers were parsed against
    sampling: dict[str, Any] | None = Field(default=None, exclude_if=lambda sampling: sampling is None)
    # as sent to an endpoint that does not accept temperature 0, such as {"temperature": 1.0}; {}: it accepts none
    bytes_on_disk: int | None

    parameters: int | None
    dtype: str
    device: str = "not known"  # cpu, cuda:0, or endpoint; an earlier version did not record it
    versions: dict[str, str | None]


class BenchmarkCounts(Counts):
    """Held-out rows, predictions (one a turn), and the predictions that are not a parsed and scored answer, by why."""

    rows: int
    predictions: int
    unparsable: int
    truncated: int
    failed: int
    unscored: int


class BenchmarkResult(Benchmark, Result[BenchmarkCounts]):
    """What `run_benchmark` says of one model."""

    billing: Billing | None = None  # None: an earlier version did not record it
    cost_usd: float | None = None  # of all its replies, whenever they were paid for; None as above
