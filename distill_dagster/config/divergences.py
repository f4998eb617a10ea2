"""The parameters of divergences: `skew` of `skew_kl`, `beta` of `jsd`.

A parameter of another divergence than the chosen one shapes nothing, so a change of it must not train a student again.
"""

from typing import Any

from distill_dagster.config.section import DivergenceName, Section

PARAMETERS: dict[DivergenceName, str] = {"skew_kl": "skew", "jsd": "beta"}


def unused_parameters(objective: Section, divergence: DivergenceName) -> dict[str, Any]:
    """The parameters of the divergences that an objective does not use, with their defaults instead of their values."""
    unused = [name for other, name in PARAMETERS.items() if other != divergence]
    return {name: type(objective).model_fields[name].default for name in unused}
