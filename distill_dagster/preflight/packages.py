"""The packages and modules that a pending step needs; those of a training are looked for in training/pairing."""

import importlib.util
from collections.abc import Iterator

from distill_dagster.config import ExportFormat
from distill_dagster.lineage.exports import export_of
from distill_dagster.lineage.stages import STAGES
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement, require
from distill_dagster.release.export.formats import RUNTIMES, family, missing_packages
from distill_dagster.tasks.custom_metrics import open_metrics


def package_requirements(pending: Pending) -> Iterator[Requirement]:
    """Optuna, if a sweep is pending, the project's own metrics, and the runtimes of exports that are made or timed."""
    if any(STAGES[name].worker == "run_benchmark" for name in pending.stages):
        yield from map(_metric, pending.config.evaluation.metrics)
    if "student_sweep" in pending.stages:
        yield _optuna()
    for form in pending.config.export.formats:
        if asset := next((name for name in (export_of(form), "speed_benchmark") if name in pending.stages), None):
            yield _runtime(form, asset)


def _runtime(form: ExportFormat, asset: str) -> Requirement:
    if missing := missing_packages(form):
        way_out = f"install `distill-dagster[export]`, or remove {form} from `export.formats`"
        return Requirement("package", asset, "error", f"needs {', '.join(missing)}, not installed: {way_out}")
    return Requirement("package", asset, "ok", RUNTIMES[family(form)])


def _optuna() -> Requirement:
    if importlib.util.find_spec("optuna"):
        return Requirement("package", "student_sweep", "ok", "optuna")
    said = "needs optuna, which is not installed: install `distill-dagster[tuning]`, or remove `student.sweep`"
    return Requirement("package", "student_sweep", "error", said)


def _metric(name: str) -> Requirement:
    """Whether a metric can be imported and computes two answers; it need not be installed where nothing is measured."""

    def look() -> str:
        open_metrics([name])
        return "tried on two answers"

    return require("metric", name, look)
