"""The metrics, and the functions that add to them. Without telemetry each returns at once.

    gen_ai.client.token.usage          tokens, by gen_ai.token.type (input, output), model and role; a histogram
    gen_ai.client.operation.duration   s, of requests, by model and role; a histogram
    distill.requests                   requests that were sent, by outcome (ok, or the error's code), model and role
    distill.retries                    attempts that were sent again, by the kind of failure
    distill.cost                       US dollars, by model and role
    distill.rows                       rows and answers by reason (accepted, or the slug of the refusal) and stage
    distill.gpu_time                   s, GPU-seconds by stage
    distill.queue.duration             s that a step waited for devices (`device`) or a cluster (`cluster`); a histogram
    distill.stage.duration             s, of steps by stage and outcome (made, fresh, failed); a histogram

Names and attributes are OpenTelemetry's where its conventions have some. All metrics carry project and stage; none has
the shard or the run, whose values would be too many.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from distill_dagster.telemetry.pipeline import own_pipeline
from distill_dagster.telemetry.switch import is_on
from distill_dagster.telemetry.where import here

TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)  # the convention's bounds
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)  # the same
LONG_SECONDS = (0.1, 1, 10, 60, 300, 900, 3600, 14_400, 86_400)
Queue = Literal["device", "cluster"]
Outcome = Literal["made", "fresh", "failed"]


def add_reply(
    call: Mapping[str, str],
    *,
    tokens: tuple[int, int],
    cost_usd: float,
    seconds: float,
    outcome: str,
) -> None:
    """Count a reply: prompt and completion tokens, cost, time, and `ok` or the error's code."""
    own = _own(call)
    usage = _histogram("gen_ai.client.token.usage", "{token}", "Tokens of requests", TOKENS)
    for kind, count in zip(("input", "output"), tokens, strict=True):
        usage.record(count, {**own, "gen_ai.token.type": kind})
    _histogram("gen_ai.client.operation.duration", "s", "Time of requests", SECONDS).record(seconds, own)
    _counter("distill.requests", "{request}", "Requests that were sent").add(1, {**own, "distill.outcome": outcome})
    _counter("distill.cost", "{USD}", "What replies cost").add(cost_usd, own)


def add_retries(call: Mapping[str, str], kinds: Mapping[str, int]) -> None:
    """Count attempts that were sent again, by kind."""
    for kind, count in kinds.items():
        _counter("distill.retries", "{retry}", "Requests that were sent again").add(
            count, _own({**call, "error.type": kind})
        )


def add_rows(by_reason: Mapping[str, int]) -> None:
    """Count the rows or answers of an artefact by reason."""
    if is_on():
        for reason, count in by_reason.items():
            _counter("distill.rows", "{row}", "Rows by reason").add(count, _own({"distill.reason": reason}))


def add_gpu_seconds(seconds: float) -> None:
    """Count the time of GPUs."""
    if is_on() and seconds:
        _counter("distill.gpu_time", "s", "GPU-seconds").add(seconds, _own({}))


def add_wait(queue: Queue, seconds: float) -> None:
    """Record the time that a step waited."""
    if is_on():
        _histogram("distill.queue.duration", "s", "Time that steps waited", LONG_SECONDS).record(
            seconds, _own({"distill.queue": queue})
        )


def add_stage_time(outcome: Outcome, seconds: float) -> None:
    """Record the time of a step."""
    if is_on():
        _histogram("distill.stage.duration", "s", "Time of steps", LONG_SECONDS).record(
            seconds, _own({"distill.outcome": outcome})
        )


def _own(attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes with project and stage."""
    where = here()
    known = {"distill.project": where.project, "distill.stage": where.stage}
    return {**{name: value for name, value in known.items() if value is not None}, **attributes}


@cache
def _counter(name: str, unit: str, description: str) -> Any:
    return own_pipeline().meter.create_counter(name, unit, description)


@cache
def _histogram(name: str, unit: str, description: str, bounds: Sequence[float]) -> Any:
    return own_pipeline().meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)
