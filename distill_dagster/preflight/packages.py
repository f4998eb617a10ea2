"""The package of an extra that a pending step needs; those of a training are looked for in training/pairing."""

import importlib.util
from collections.abc import Iterator

from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement


def package_requirements(pending: Pending) -> Iterator[Requirement]:
    """Whether Optuna is installed, if a sweep is pending."""
    if "student_sweep" not in pending.stages:
        return
    if importlib.util.find_spec("optuna"):
        yield Requirement("package", "student_sweep", "ok", "optuna")
    else:
        said = "needs optuna, which is not installed: install `distill-dagster[tuning]`, or remove `student.sweep`"
        yield Requirement("package", "student_sweep", "error", said)
