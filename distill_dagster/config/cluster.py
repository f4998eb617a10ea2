"""The settings that `compute.ray` and `compute.k8s` have in common."""

from typing import Any

from pydantic import Field


def retries_field(after: str) -> Any:
    """How often a worker is started again; `after` says what made it end."""
    return Field(
        default=3,
        ge=0,
        le=20,
        description=f"How often a worker is started again, elsewhere if possible, after {after}, its process was "
        "killed, or it made no progress.",
    )


def stalled_field() -> Any:
    """When a worker counts as stalled."""
    return Field(
        default=30.0,
        ge=0,
        le=10_080,
        description="Minutes without a message and without growth of its files after which a worker counts as stalled. "
        "0: never.",
    )
