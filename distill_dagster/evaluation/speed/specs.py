"""What the worker that times the models takes, and what it says of them.

`SpeedDocument` is speed.json. Worked example (shortened):

    {"machine": {"processor": "…", "cores": 2, "gpus": []}, "device": "cpu", "prompts": 32, "max_new_tokens": 24,
     "models": [{"name": "teacher", "engine": "torch", "includes_network": false,
                 "levels": [{"concurrency": 1, "requests": 160, "latency_ms": {"p50": 10.9, "p95": 17.1, "p99": 18.4},
                             "first_token_ms": {"p50": 2.9}, "tokens_per_second": 801.0, …}, …],
                 "memory": {"weight_bytes": 4400000, "kv_bytes_per_token": 3840, "peak_bytes": …, "floor_bytes": …},
                 "cost": {"usd_per_1000": null, "seconds_per_1000": 1.6}}, …],
     "ratios": [{"model": "student", "against": "teacher", "measure": "latency", "concurrency": 1, "value": 2.31,
                 "low": 2.2, "high": 2.4, "rounds": 5, "withheld": null}, …],
     "rounds": [{"order": ["teacher", "baseline", "student"], "load_average": [0.4, 0.5, 0.6], "turns": […]}, …]}
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel

from distill_dagster.config import SUMMARY_WORDS, EvaluationConfig, Prompting, Section
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import Counts, Result, Spec

EngineName = Literal["torch", "endpoint", "llama.cpp", "onnxruntime-genai"]
CHILD = "distill_dagster.evaluation.speed.child"  # the process of a model that the project's own engine runs
Measure = Literal["latency", "latency_p95", "first_token", "tokens_per_second", "answers_per_second", "cost"]


def is_of_export(engine: EngineName) -> bool:
    """Whether the engine is the runtime of an export."""
    return engine not in ("torch", "endpoint")


class TimedModel(Section):
    """A model under the name that the report shows, and the engine that runs it."""

    name: str  # a role, or the name of an export
    model: ModelRef
    engine: EngineName = "torch"
    prompting: Prompting = "plain"  # the teacher is timed with the prompting that it teaches with
    process: str = CHILD  # the module that holds the model in a process of its own; it knows the engine
    max_length: int | None = None  # of an export: the most tokens of a prompt and its answer

    @property
    def is_export(self) -> bool:
        """Whether another runtime runs it, which answers on the CPU."""
        return is_of_export(self.engine)


class Machine(BaseModel, frozen=True):
    """The hardware, as far as it bears on speed; a change of it makes the stage stale."""

    processor: str
    cores: int | None
    gpus: list[str]  # names of the GPUs that may be leased, each once


class SpeedSpec(Spec):
    """Time these models on the held-out rows' prompts; the worker writes speed.json into `out`."""

    models: list[TimedModel]
    machine: Machine | None  # None: that on which the worker runs
    rows: str
    max_new_tokens: int
    summary_words: int = SUMMARY_WORDS
    labels: list[str] | None = None
    evaluation: EvaluationConfig
    responses: str  # the folder of stored replies; written only for a model behind an endpoint
    stop_failed_share: float = 0.5
    budget_usd: float | None = None
    out: str

    @property
    def needs_device(self) -> bool:
        """Whether any model runs on a device; exports answer on the CPU."""
        return any(timed.engine == "torch" for timed in self.models)


class Turn(BaseModel, frozen=True):
    """One model's answers to the prompts of a round, `concurrency` of them in flight."""

    model: str
    concurrency: int
    wall_s: float
    cpu_s: float | None  # of all threads of the model's process; None behind an endpoint
    waited_s: float | None  # how long its threads were ready to run and had no core; None: not known
    others_s: float | None = None  # CPU time of all other processes meanwhile; missing from earlier versions
    latencies_ms: list[float]  # of each answer, from the moment when its prompt was sent
    first_token_ms: list[float]  # empty if the engine does not show tokens as they come
    prompt_tokens: int
    tokens: int
    cost_usd: float = 0.0

    @property
    def slowdown(self) -> float | None:
        """Wall time over CPU time of the threads while they were ready to run: 1 on an idle machine.

        Threads also wait for each other, where a model has more of them than there are cores. So the waiting counts up
        to the CPU time that other processes took.
        """
        if not self.cpu_s:
            return None
        waited = self.waited_s if self.waited_s is not None else max(0.0, self.wall_s - self.cpu_s)
        if self.others_s is not None:
            waited = min(waited, max(0.0, self.others_s))
        return (self.cpu_s + waited) / self.cpu_s

    def value(self, measure: Measure) -> float | None:
        """The turn's figure; None if it was not measured. The cost is the time of the machine."""
        if not self.latencies_ms:
            return None
        if measure in ("latency", "latency_p95"):
            return float(np.percentile(self.latencies_ms, 95 if measure == "latency_p95" else 50))
        if measure == "first_token":
            return float(np.median(self.first_token_ms)) if self.first_token_ms else None
        if measure == "cost":
            return self.wall_s / len(self.latencies_ms)
        return (self.tokens if measure == "tokens_per_second" else len(self.latencies_ms)) / self.wall_s


def joined(slices: Sequence[Turn]) -> Turn:
    """One turn from its slices."""

    def total(name: str) -> float | None:
        values = [getattr(turn, name) for turn in slices]
        return None if None in values else math.fsum(values)

    return slices[0].model_copy(
        update={
            **{name: total(name) for name in ("wall_s", "cpu_s", "waited_s", "others_s", "cost_usd")},
            **{name: sum(getattr(turn, name) for turn in slices) for name in ("prompt_tokens", "tokens")},
            "latencies_ms": [ms for turn in slices for ms in turn.latencies_ms],
            "first_token_ms": [ms for turn in slices for ms in turn.first_token_ms],
        }
    )


class Round(BaseModel, frozen=True):
    """Every model's turns, one after another, at each concurrency."""

    order: list[str]
    prompts: int  # how many each model was asked
    load_average: list[float] | None  # over 1, 5 and 15 minutes, at the round's end; the models' own load included
    turns: list[Turn]

    def turn(self, model: str, concurrency: int) -> Turn | None:
        """A model's turn; None if it had none in this round."""
        return next((t for t in self.turns if (t.model, t.concurrency) == (model, concurrency)), None)


class Percentiles(BaseModel, frozen=True):
    """Over the requests of all rounds, in milliseconds, linear between two requests; None: not measured."""

    p50: float | None
    p95: float | None
    p99: float | None


class Level(BaseModel, frozen=True):
    """A model's figures with so many requests in flight."""

    concurrency: int
    requests: int
    latency_ms: Percentiles
    first_token_ms: Percentiles
    tokens_per_second: float | None  # new tokens of all requests, by wall time
    answers_per_second: float | None
    slowdown: float | None  # of the most disturbed round


class MemoryUse(BaseModel, frozen=True):
    """What the model occupies, in bytes; `how` says how the peak was measured."""

    weight_bytes: int | None
    kv_bytes_per_token: int | None  # keys and values of one token in the cache; None: the model keeps none such
    peak_bytes: int | None  # above the floor
    floor_bytes: int | None  # the process with Python and the libraries, before it loads the model
    how: str


class Cost(BaseModel, frozen=True):
    """What 1,000 answers cost; None: not known."""

    usd_per_1000: float | None
    seconds_per_1000: float | None  # of this machine, at the concurrency with the most answers per second
    how: str


class ModelSpeed(BaseModel, frozen=True):
    """One model's figures."""

    name: str
    model: str
    revision: str
    engine: EngineName
    includes_network: bool
    levels: list[Level]
    memory: MemoryUse
    cost: Cost
    parameters: int | None
    dtype: str
    bytes_on_disk: int | None
    load_s: float | None
    threads: int | None
    prompt_tokens_mean: float | None
    completion_tokens_mean: float | None
    latencies_ms: list[float]  # of single requests

    def level(self, concurrency: int) -> Level | None:
        """The figures at a concurrency; None if the model was not timed at it."""
        return next((level for level in self.levels if level.concurrency == concurrency), None)


class TimedRatio(BaseModel, frozen=True):
    """How many times better a model is than another, from rounds in which both were timed; below 1 it is worse."""

    model: str
    against: str
    measure: Measure
    concurrency: int
    value: float | None
    low: float | None
    high: float | None
    rounds: int  # those that count
    smallest: float | None = None  # of the rounds that count; None if too few do
    largest: float | None = None
    withheld: str | None = None  # why there is no value
    includes_network: bool = False


class SpeedDocument(BaseModel, frozen=True):
    """Everything that was measured, with every round."""

    machine: Machine
    device: str
    versions: dict[str, str | None]
    prompts: int  # distinct ones, the same in each round and for each model
    skipped: int  # drawn prompts that do not fit the context of one of the models
    max_new_tokens: int
    models: list[ModelSpeed]
    ratios: list[TimedRatio]
    rounds: list[Round]

    @property
    def exports(self) -> list[ModelSpeed]:
        """The figures of the student's exports, in the order of `export.formats`."""
        return [model for model in self.models if is_of_export(model.engine)]

    def model(self, name: str) -> ModelSpeed | None:
        """The figures of a model; None if it was not timed."""
        return next((found for found in self.models if found.name == name), None)

    def ratio(self, measure: Measure, concurrency: int = 1, model: str = "student") -> TimedRatio | None:
        """The ratio of a model against the teacher; None if there is none."""
        wanted = (model, "teacher", measure, concurrency)
        return next((r for r in self.ratios if (r.model, r.against, r.measure, r.concurrency) == wanted), None)

    @property
    def most_concurrency(self) -> int:
        """The highest concurrency at which a model was timed."""
        return max((level.concurrency for model in self.models for level in model.levels), default=1)


class SpeedCounts(Counts):
    """Models, rounds, and requests that were timed."""

    models: int
    rounds: int
    requests: int


class SpeedResult(Result[SpeedCounts]):
    """What `time_models` says: the figures and the ratios; speed.json has every round too."""

    machine: Machine
    device: str
    models: list[ModelSpeed]
    ratios: list[TimedRatio]
