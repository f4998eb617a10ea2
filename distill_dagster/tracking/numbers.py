"""What is sent of a config, a training, a result and a report: flat names with numbers or texts.

parameters({"student": {"training": {"epochs": 3}}})     {"student.training.epochs": "3"}
scores(report)                                           {"student/score": 0.912, "student/score_low": 0.878, …}
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distill_dagster.redaction import redact
from distill_dagster.report.document import ReportDocument
from distill_dagster.training.record import LossPoint

LONGEST = 500  # characters of a value: MLflow's limit on servers of some years ago


def parameters(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings by their path; what looks like a secret is replaced."""
    return {name: redact(str(value))[:LONGEST] for name, value in _leaves("", settings)}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), inner)
    else:
        yield path, value


def curve(history: Sequence[LossPoint]) -> list[Mapping[str, float]]:
    """The points of a training that has ended."""
    return [point.model_dump(exclude_none=True) for point in history]


def numbers_of(point: Mapping[str, float]) -> dict[str, float]:
    """The numbers of a point, without its step."""
    return {name: float(value) for name, value in point.items() if name != "step" and math.isfinite(value)}


def scores(report: ReportDocument) -> dict[str, float]:
    """Every model's score with its interval, by task too, retention, the ratios, and what the answers cost."""
    found: dict[str, float | None] = {}
    for role, benchmark in report.models.items():
        ends = dict(zip(("low", "high"), benchmark.interval, strict=True))
        found |= {f"{role}/score": benchmark.score} | {f"{role}/score_{end}": value for end, value in ends.items()}
        for task, of_task in benchmark.by_task.items():
            found |= {f"{role}/{task}/{metric}": value for metric, value in of_task.metrics.items()}
    for name, ratio in (("retention", report.retention), ("gap_recovered", report.gap_recovered)):
        found |= {name: ratio.value, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
    found |= {f"ratio/{name}": value for name, value in report.ratios.model_dump().items()}
    found |= {"cost_usd": report.costs.usd if report.costs else None}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}
