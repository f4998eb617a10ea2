"""What the worker that measures one model takes, and what it says of the model.

`Benchmark` is benchmark.json, field by field. Worked example (shortened):

    {"role": "student", "model": {"name": "llama-145k", "revision": "…", "dtype": "auto", "parameters": 144624},
     "score": 0.912, "interval": [0.878, 0.937], "interval_method": "wilson", "items": 400,
     "by_task": {"nli": {"headline": "accuracy", "score": 0.912, "metrics": {"accuracy": 0.912, "macro_f1": 0.909},
                         "items": 400, "interval": [0.878, 0.937]}},
     "rows": 402, "predictions": 402, "unparsable": 3, "truncated": 1, "failed": 0, "unscored": 2,
     "max_new_tokens": 64, "prompting": "plain", "labels": ["entailment", …], "bytes_on_disk": 708112,
     "speed": {"requests": 32, "latency_ms": {"p50": 6.98, "p95": 14.7, "p99": 18.1}, …},
     "memory": {"weight_bytes": 579072, "peak_bytes": 14500000, …}, "parameters": 144624, "dtype": "float32",
     "hardware": {"device": "cpu", "cores": 2, …}, "versions": {"python": "3.11.7", …}}

A number that only an endpoint's provider knows is None.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from distill_dagster.config import SUMMARY_WORDS, EvaluationConfig, Prompting, Role, Section
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import Counts, Result, Spec

Ends = tuple[float, float]  # low and high end of an interval


def _without_nan(value: Any) -> Any:
    """None for NaN, which an older version wrote where nothing was measured; of a list, its other values."""
    if isinstance(value, list):
        return [inner for inner in map(_without_nan, value) if inner is not None]
    return None if isinstance(value, float) and math.isnan(value) else value


Measured = Annotated[float | None, BeforeValidator(_without_nan)]  # None: not measured
Timings = Annotated[list[float], BeforeValidator(_without_nan)]


class BenchmarkSpec(Spec):
    """Measure one model on the held-out rows; the worker writes predictions.parquet and benchmark.json into `out`."""

    role: Role
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


class SpeedSpec(Section):
    """Time these prompts on this model and device."""

    model: ModelRef
    device: str
    more: list[str] = []  # devices over which the model is spread too
    prompts: list[list[dict[str, str]]]  # messages of each request
    max_new_tokens: int


class Latency(BaseModel, frozen=True):
    """Percentiles over requests, in milliseconds; None if no request was answered."""

    p50: Measured
    p95: Measured
    p99: Measured


class FirstToken(BaseModel, frozen=True):
    """Median time until the first token, in milliseconds."""

    p50: float | None


class Speed(BaseModel, frozen=True):
    """Single requests, timed one after another."""

    requests: int
    skipped: int  # did not fit the context, were refused by the chat template, or failed
    warm_ups: int
    batch_size: int
    concurrency: int
    max_new_tokens: int
    latency_ms: Latency
    first_token_ms: FirstToken
    tokens_per_second: float | None  # while decoding; None if every answer was one token
    prompt_tokens_mean: float | None
    completion_tokens_mean: float | None
    latencies_ms: Timings
    load_s: float | None
    threads: int | None


class MemoryUse(BaseModel, frozen=True):
    """What the model occupies, in bytes; `how` says how the peak was measured."""

    weight_bytes: int | None
    peak_bytes: int | None
    how: str


class Hardware(BaseModel, frozen=True):
    """The machine on which speed and memory were measured."""

    device: str  # cpu, cuda:0, or endpoint
    name: str | None  # of the processor, of the GPU, or of the endpoint's host
    cores: int | None
    memory_gb: float | None
    threads: int | None


class Measurement(BaseModel, frozen=True):
    """How fast and how large a model is."""

    speed: Speed
    memory: MemoryUse
    parameters: int | None
    dtype: str
    hardware: Hardware
    versions: dict[str, str | None]  # of Python and the libraries that ran the model


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
    interval_method: Literal["wilson", "bootstrap"]
    items: int
    by_task: dict[str, TaskScore]


class ModelIdentity(BaseModel, frozen=True):
    """Which model was measured; `parameters` is 0 if the reference does not say."""

    name: str
    revision: str
    dtype: str
    parameters: int


class Benchmark(BaseModel):
    """One model's benchmark.json, in the order of its keys; the groups are `Scores`, the counts and `Measurement`."""

    model_config = ConfigDict(frozen=True)

    role: Role
    model: ModelIdentity

    score: float
    interval: Ends
    interval_method: Literal["wilson", "bootstrap"]
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

    speed: Speed
    memory: MemoryUse
    parameters: int | None
    dtype: str
    hardware: Hardware
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
