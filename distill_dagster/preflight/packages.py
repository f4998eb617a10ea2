"""The packages and modules that a pending step needs; those of a training are looked for in training/pairing."""

import importlib.util
from collections.abc import Iterator

from distill_dagster.lineage.stages import STAGES
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement, require
from distill_dagster.tasks.custom_metrics import open_metrics


def package_requirements(pending: Pending) -> Iterator[Requirement]:
    """Whether Optuna is installed, if a sweep is pending, and whether the project's own metrics work."""
    if any(STAGES[name].worker == "run_benchmark" for name in pending.stages):
        yield from map(_metric, pending.config.evaluation.metrics)
    if "student_sweep" not in pending.stages:
        return
    if importlib.util.find_spec("optuna"):
        yield Requirement("package", "student_sweep", "ok", "optuna")
    else:
        said = "needs optuna, which is not installed: install `distill-dagster[tuning]`, or remove `student.sweep`"
        yield Requirement("package", "student_sweep", "error", said)


def _metric(name: str) -> Requirement:
    """Whether a metric can be imported and computes two answers; it need not be installed where nothing is measured."""

    def look() -> str:
        open_metrics([name])
        return "tried on two answers"

    return require("metric", name, look)
