"""The figures of each model over all rounds, and the ratios of each model against the teacher."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill_dagster.config import SpeedConfig
from distill_dagster.evaluation.speed.child import Ready
from distill_dagster.evaluation.speed.ratios import compare, is_calm
from distill_dagster.evaluation.speed.specs import (
    Cost,
    Level,
    Measure,
    MemoryUse,
    ModelSpeed,
    Percentiles,
    Round,
    TimedModel,
    TimedRatio,
    Turn,
)
from distill_dagster.models.pinning import bytes_on_disk

AGAINST = "teacher"
ALONE: tuple[Measure, ...] = ("latency", "latency_p95", "first_token", "tokens_per_second", "answers_per_second")
NOT_KNOWN = MemoryUse(
    weight_bytes=None,
    kv_bytes_per_token=None,
    peak_bytes=None,
    floor_bytes=None,
    how="not known: the model runs behind an endpoint",
)


def figures(
    timed: TimedModel,
    rounds: Sequence[Round],
    config: SpeedConfig,
    ready: Ready | None,
    memory: MemoryUse = NOT_KNOWN,
) -> ModelSpeed:
    """One model's figures; `ready` is None for one behind an endpoint. Disturbed turns count only if none was calm."""
    turns = {level: _counted(timed.name, rounds, level) for level in config.concurrency}
    levels = [level_of(level, found) for level, found in turns.items() if found]
    alone = turns[1]
    answers = sum(len(turn.latencies_ms) for turn in alone)
    return ModelSpeed(
        name=timed.name,
        model=timed.model.name,
        revision=timed.model.revision,
        engine=timed.engine,
        includes_network=timed.engine == "endpoint",
        levels=levels,
        memory=memory,
        cost=cost_of(timed, alone, levels, config),
        parameters=ready.parameters if ready else None,
        dtype=ready.dtype if ready else "not known",
        bytes_on_disk=_on_disk(timed),
        load_s=ready.load_s if ready else None,
        threads=ready.threads if ready else None,
        prompt_tokens_mean=_mean(sum(turn.prompt_tokens for turn in alone), answers),
        completion_tokens_mean=_mean(sum(turn.tokens for turn in alone), answers),
        latencies_ms=[latency for turn in alone for latency in turn.latencies_ms],
    )


def _on_disk(timed: TimedModel) -> int | None:
    """Bytes of the files that the model is read from. For an export, all files count."""
    folder = Path(timed.model.path)
    if timed.is_export:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return bytes_on_disk(folder) if timed.model.path else None


def _counted(model: str, rounds: Sequence[Round], level: int) -> list[Turn]:
    found = [turn for r in rounds if (turn := r.turn(model, level)) is not None]
    return [turn for turn in found if is_calm(turn)] or found


def level_of(concurrency: int, turns: Sequence[Turn]) -> Level:
    """A model's figures over its turns at one concurrency."""
    latencies = [latency for turn in turns for latency in turn.latencies_ms]
    wall = sum(turn.wall_s for turn in turns)
    slowdowns = [turn.slowdown for turn in turns if turn.slowdown is not None]
    return Level(
        concurrency=concurrency,
        requests=len(latencies),
        latency_ms=_percentiles(latencies),
        first_token_ms=_percentiles([first for turn in turns for first in turn.first_token_ms]),
        tokens_per_second=_mean(sum(turn.tokens for turn in turns), wall) if latencies else None,
        answers_per_second=_mean(len(latencies), wall) if latencies else None,
        slowdown=round(max(slowdowns), 3) if slowdowns else None,
    )


def cost_of(timed: TimedModel, alone: Sequence[Turn], levels: Sequence[Level], config: SpeedConfig) -> Cost:
    """What 1,000 answers cost: by the endpoint's price, or by the time of this machine."""
    if timed.model.endpoint is not None:
        answers, spent = sum(len(turn.latencies_ms) for turn in alone), sum(turn.cost_usd for turn in alone)
        priced = timed.model.endpoint.price is not None and answers > 0
        per_1000 = round(1000 * spent / answers, 6) if priced else None
        return Cost(usd_per_1000=per_1000, seconds_per_1000=None, how="the endpoint's `price`, over the timed requests")
    rates = [(rate, level.concurrency) for level in levels if (rate := level.answers_per_second)]
    if not rates:
        return Cost(usd_per_1000=None, seconds_per_1000=None, how="not measured")
    rate, level = max(rates)
    hourly = config.usd_per_hour
    return Cost(
        usd_per_1000=round(1000 / rate * hourly / 3600, 8) if hourly else None,
        seconds_per_1000=round(1000 / rate, 4),
        how=f"time of this machine at concurrency {level}"
        + (f", at {hourly:g} USD an hour" if hourly else "; `evaluation.speed.usd_per_hour` gives its price"),
    )


def ratios(timed: Sequence[TimedModel], rounds: Sequence[Round], config: SpeedConfig) -> list[TimedRatio]:
    """Every model against the teacher, in every measure at every concurrency at which both were timed."""
    teacher = next((model for model in timed if model.name == AGAINST), None)
    if teacher is None:
        return []
    others = [model for model in timed if model is not teacher]
    return [ratio for model in others for ratio in _against(teacher, model, rounds, config)]


def _against(teacher: TimedModel, model: TimedModel, rounds: Sequence[Round], config: SpeedConfig) -> list[TimedRatio]:
    over_http = "endpoint" in (teacher.engine, model.engine)
    how: dict[str, Any] = {"least": config.rounds, "includes_network": over_http}
    levels = [1] if over_http else config.concurrency
    found = [
        compare(rounds, model.name, AGAINST, measure, level, **how)
        for level in levels
        for measure in ALONE
        if level == 1 or measure not in ("latency_p95", "first_token")
    ]
    return [*found, _cost_ratio(teacher, model, rounds, config, how)]


def _cost_ratio(
    teacher: TimedModel, model: TimedModel, rounds: Sequence[Round], config: SpeedConfig, how: dict[str, Any]
) -> TimedRatio:
    """The cost of an answer: on one machine by its time at the highest concurrency, else in US dollars."""
    if teacher.engine != "endpoint":
        return compare(rounds, model.name, AGAINST, "cost", max(config.concurrency), **how)
    price, hourly = teacher.model.endpoint and teacher.model.endpoint.price, config.usd_per_hour
    if price is None or hourly is None:
        need = (
            "`price` of the endpoint" if price is None else "`evaluation.speed.usd_per_hour`, what this machine costs"
        )
        return TimedRatio(
            **{"model": model.name, "against": AGAINST, "measure": "cost", "concurrency": 1},
            **{"value": None, "low": None, "high": None, "rounds": 0, "withheld": f"it needs the {need}"},
            includes_network=True,
        )

    def ours(turn: Turn) -> float | None:
        seconds = turn.value("cost")
        return seconds * hourly / 3600 if seconds else None

    def theirs(turn: Turn) -> float | None:
        return turn.cost_usd / len(turn.latencies_ms) if turn.latencies_ms else None

    return compare(rounds, model.name, AGAINST, "cost", 1, values=(ours, theirs), **how)


def _percentiles(values: Sequence[float]) -> Percentiles:
    if not values:
        return Percentiles(p50=None, p95=None, p99=None)
    p50, p95, p99 = (round(float(np.percentile(values, p)), 3) for p in (50, 95, 99))
    return Percentiles(p50=p50, p95=p95, p99=p99)


def _mean(total: float, count: float) -> float | None:
    return round(total / count, 3) if count else None
