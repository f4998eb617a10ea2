"""The metadata that the UI shows of the models' speed."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import table_of, usage_of
from distill_dagster.evaluation.speed.specs import ModelSpeed, SpeedResult, TimedRatio
from distill_dagster.store.manifest import Manifest

FIGURES = {
    "model": "The model that was timed.",
    "in_flight": "How many requests were in flight at one time.",
    "latency_p50_ms": "Median time of an answer.",
    "latency_p95_ms": "95 % of the answers took at most this time.",
    "latency_p99_ms": "99 % of the answers took at most this time.",
    "first_token_p50_ms": "Median time until the first token.",
    "tokens_per_second": "New tokens of all requests, by wall time.",
    "answers_per_second": "Answers to all requests, by wall time.",
    "slowdown": "Wall time over CPU time in the most disturbed turn that counts; 1 on an idle machine.",
}
RATIOS = {
    "model": "The model that is compared with the teacher.",
    "measure": "What is compared.",
    "in_flight": "How many requests were in flight at one time.",
    "times_better": "How many times better it is, with the 95 % interval over the rounds.",
    "rounds": "How many rounds count.",
    "withheld": "Why there is no ratio.",
}


def speed_view(manifest: Manifest) -> dict[str, Any]:
    """Figures and ratios as tables, and those that plot over time as numbers."""
    result = manifest.read(SpeedResult)
    return {
        **_numbers(result),
        "ratios": table_of([_ratio(ratio) for ratio in result.ratios], RATIOS),
        "figures": table_of([row for model in result.models for row in _figures(model)], FIGURES),
        "memory": dg.MetadataValue.json({m.name: m.memory.model_dump(mode="json") for m in result.models}),
        "cost": dg.MetadataValue.json({m.name: m.cost.model_dump(mode="json") for m in result.models}),
        "hardware": dg.MetadataValue.json({**result.machine.model_dump(mode="json"), "device": result.device}),
        "withheld_ratios": sum(ratio.withheld is not None for ratio in result.ratios),
        **usage_of(result, next((m.dtype for m in result.models if m.name == "student"), "not known")),
    }


def _numbers(result: SpeedResult) -> dict[str, float | int]:
    """What was not measured, or is withheld, is left out."""
    numbers: dict[str, float | int | None] = {}
    for model in result.models:
        alone = model.level(1)
        numbers[f"{model.name}_latency_p50_ms"] = alone.latency_ms.p50 if alone else None
        numbers[f"{model.name}_answers_per_second"] = alone.answers_per_second if alone else None
        numbers[f"{model.name}_peak_bytes"] = model.memory.peak_bytes
    shown = [ratio for ratio in result.ratios if ratio.model == "student"]
    numbers |= {f"{ratio.measure}_ratio_at_{ratio.concurrency}": ratio.value for ratio in shown}
    return {name: value for name, value in numbers.items() if value is not None}


def _ratio(ratio: TimedRatio) -> dict[str, Any]:
    known = None not in (ratio.value, ratio.low, ratio.high)
    shown = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if known else ""
    return {
        "model": ratio.model,
        "measure": ratio.measure.replace("_", " "),
        "in_flight": ratio.concurrency,
        "times_better": shown,
        "rounds": ratio.rounds,
        "withheld": ratio.withheld or "",
    }


def _figures(model: ModelSpeed) -> list[dict[str, Any]]:
    return [
        {
            "model": model.name + (" (with the network)" if model.includes_network else ""),
            "in_flight": level.concurrency,
            **{f"latency_{p}_ms": value for p, value in level.latency_ms.model_dump().items()},
            "first_token_p50_ms": level.first_token_ms.p50,
            "tokens_per_second": level.tokens_per_second,
            "answers_per_second": level.answers_per_second,
            "slowdown": level.slowdown,
        }
        for level in model.levels
    ]
