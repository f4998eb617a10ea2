"""The packages of extras that pending steps need; those of a training are looked for in training/pairing."""

import importlib.util
from collections.abc import Iterator

from distill_dagster.lineage.exports import export_of
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement
from distill_dagster.release.export.formats import RUNTIMES, family, missing_packages


def package_requirements(pending: Pending) -> Iterator[Requirement]:
    """Whether Optuna is installed, if a sweep is pending, and the runtimes of pending exports."""
    if "student_sweep" in pending.stages:
        yield _optuna()
    for form in pending.config.export.formats:
        asset = export_of(form)
        if asset not in pending.stages:
            continue
        if missing := missing_packages(form):
            said = (
                f"needs {', '.join(missing)}, not installed: install `distill-dagster[export]`, or remove {form} from "
            )
            yield Requirement("package", asset, "error", said + "`export.formats`")
        else:
            yield Requirement("package", asset, "ok", RUNTIMES[family(form)])


def _optuna() -> Requirement:
    if importlib.util.find_spec("optuna"):
        return Requirement("package", "student_sweep", "ok", "optuna")
    said = "needs optuna, which is not installed: install `distill-dagster[tuning]`, or remove `student.sweep`"
    return Requirement("package", "student_sweep", "error", said)
