"""The parameters of divergences: `skew` of `skew_kl`, `beta` of `jsd`.

A parameter of a divergence that is not used shapes nothing, so a change of it must not train a student again.
"""

from collections.abc import Collection
from typing import Any

from distill_dagster.config.section import DivergenceName, Section

PARAMETERS: dict[DivergenceName, str] = {"skew_kl": "skew", "jsd": "beta"}


def parameters_of(divergences: Collection[DivergenceName]) -> set[str]:
    """The parameters that these divergences have."""
    return {name for divergence, name in PARAMETERS.items() if divergence in divergences}


def unused_at_default(objective: Section, divergence: DivergenceName) -> dict[str, Any]:
    """The defaults of the parameters that an objective with this divergence does not use."""
    unused = {*PARAMETERS.values()} - parameters_of([divergence])
    return {name: field.default for name, field in type(objective).model_fields.items() if name in unused}
