"""Metrics of a project's own: `evaluation.metrics: [package.module:Name]`.

    evaluation:
      metrics: [support.metrics:Politeness]     # a class of evaluate.Metric, see docs/scores.md

Each is computed beside the metrics of every task: of the parsed answers, "" where one could not be parsed, and of a
list of gold answers for each. It returns finite numbers by name. Its module is found as any other: an installed
package, or a file in a folder of PYTHONPATH.

A metric is tried on two answers before anything is asked or trained, and again by the benchmark. It changes no score
and no verdict. A change of its module's file makes the benchmarks stale; a change of what that imports does not.
"""

import importlib
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from distill_dagster.errors import ConfigError

TRIED = {"predictions": ["a b", ""], "references": [["a b", "c"], ["d"]]}
FORM = "give it the form that docs/scores.md shows"


def open_metrics(names: Sequence[str]) -> list[tuple[str, Any]]:
    """The metrics by their import paths, each tried on two answers.

    Raises:
        ConfigError: one cannot be imported, is no `evaluate.Metric`, cannot be opened, or returns no numbers by name.
    """
    opened = [(name, _open(name)) for name in names]
    for name, metric in opened:
        _computed(name, metric, TRIED)
    return opened


def custom_metrics(
    opened: Sequence[tuple[str, Any]], predictions: Sequence[Mapping[str, Any]], taken: Collection[str]
) -> dict[str, float]:
    """The values of opened metrics over prediction rows of one task; `taken` are the names of the task's own metrics.

    Raises:
        ConfigError: a metric fails, or returns no numbers, or a name that is taken.
    """
    batch = {
        "predictions": [row["parsed"] or "" for row in predictions],
        "references": [list(row["reference"]) for row in predictions],
    }
    values: dict[str, float] = {}
    for name, metric in opened:
        found = _computed(name, metric, batch)
        if twice := sorted(found.keys() & {*taken, *values}):
            raise ConfigError(f"`evaluation.metrics`: {name} returns {twice[0]!r}, which is another metric: rename it")
        values |= found
    return values


def _open(name: str) -> Any:
    import evaluate

    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as e:  # a user's module may raise anything while it is imported
        raise ConfigError(
            f"`evaluation.metrics`: {name} cannot be imported ({type(e).__name__}: {e}): correct the path, or install "
            "the package"
        ) from e
    if not (isinstance(found, type) and issubclass(found, evaluate.Metric)):
        raise ConfigError(f"`evaluation.metrics`: {name} is {found!r}, and no class of evaluate.Metric: {FORM}")
    try:
        return found()
    except Exception as e:  # its constructor is the user's
        raise ConfigError(f"`evaluation.metrics`: {name}() raises {type(e).__name__}: {e}: {FORM}") from e


def _computed(name: str, metric: Any, batch: Mapping[str, Any]) -> dict[str, float]:
    try:
        found = metric.compute(**batch)
    except Exception as e:  # so is its computation
        raise ConfigError(f"`evaluation.metrics`: {name}.compute raises {type(e).__name__}: {e}: {FORM}") from e
    if not isinstance(found, Mapping) or not found or not all(map(_is_number, found.values())):
        raise ConfigError(
            f"`evaluation.metrics`: {name}.compute returns {found!r}, and no finite numbers by name: {FORM}"
        )
    return {str(key): float(value) for key, value in found.items()}


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, str | bytes | bool) and math.isfinite(value)
    except TypeError:
        return False
