"""The packages of extras that pending steps need.

Requirement("package", "student_sweep", "error", "needs optuna, which is not installed: install `distill-dagster[…]`")
"""

import importlib.util
from collections.abc import Iterator

from distill_dagster.preflight.memory import training_of
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement

EXTRAS = {"optuna": "tuning", "bitsandbytes": "bitsandbytes"}


def package_requirements(pending: Pending) -> Iterator[Requirement]:
    """Whether each package that a step needs is installed."""
    for stage in pending.stages:
        for package in _packages(stage, pending):
            if importlib.util.find_spec(package):
                yield Requirement("package", stage, "ok", package)
            else:
                said = f"needs {package}, which is not installed: install `distill-dagster[{EXTRAS[package]}]`"
                yield Requirement("package", stage, "error", said)


def _packages(stage: str, pending: Pending) -> Iterator[str]:
    if stage == "student_sweep":
        yield "optuna"
    training = training_of(stage, pending) if stage in pending.on_devices else None
    if training and training.optimizer == "adamw_8bit":
        yield "bitsandbytes"
