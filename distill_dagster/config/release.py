"""`release:` - when a new student replaces the released one."""

from typing import Literal

from pydantic import Field

from distill_dagster.config.section import Section


class ReleaseConfig(Section):
    """When a new student replaces the released one, see docs/release.md. Without this section nothing is released."""

    margin: float = Field(
        default=0.01,
        ge=0,
        le=0.2,
        description="Largest loss of score, from 0 to 1, that a replacement may bring. The lower end of the 95 % "
        "interval of the difference to the released student must be above it, and to the first release too.",
    )
    approve: Literal["auto", "manual"] = Field(
        default="auto",
        description="`auto` releases a student that passes. With `manual` it waits for `distill-dagster approve`.",
    )
    keep: int = Field(
        default=3,
        ge=2,
        le=20,
        description="Released students whose models are kept for `distill-dagster rollback`, the present one included. "
        "The first one is kept in any case.",
    )
