"""What a check is, and what it says."""

from collections.abc import Callable
from dataclasses import dataclass, field

from distill_dagster.lineage.stages import Project

Numbers = dict[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `numbers` plot over shards and stand in alerts."""

    passed: bool
    description: str
    numbers: Numbers = field(default_factory=dict)
    undecided: bool = False  # it failed for want of evidence, which is a warning whatever the config says


@dataclass(frozen=True, slots=True)
class Check:
    """A question to a published artefact; `look` gets the shard, or None for an asset without shards."""

    name: str  # also its field in checks.severity
    asset: str
    says: str  # what holds when it passes
    look: Callable[[Project, str | None], Finding]
    shows: tuple[str, ...] | None = ()  # reasons of the refused rows that an alert gives as examples; None: any


def at_least(have: float, of: float, wanted: float, what: str, numbers: Numbers) -> Finding:
    """Whether `have` of `of` is a share of at least `wanted`; of nothing, there is no share that is too small."""
    share = have / of if of else 1.0
    return Finding(
        share >= wanted, f"{have:,} of {of:,} {what} ({share:.1%}); at least {wanted:.1%} are wanted", numbers
    )


def at_most(have: float, of: float, allowed: float, what: str, numbers: Numbers) -> Finding:
    """Whether `have` of `of` is a share of at most `allowed`."""
    share = have / of if of else 0.0
    return Finding(share <= allowed, f"{have:,} of {of:,} {what} ({share:.1%}); at most {allowed:.1%} may", numbers)
