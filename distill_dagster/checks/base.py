"""What a check is, what it looks at, and what it finds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from distill_dagster.config import ChecksConfig, DistillConfig, Severity, SeverityConfig
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stage import always
from distill_dagster.store.manifest import Manifest

Numbers = dict[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `numbers` are plotted over shards and shown in alerts."""

    passed: bool
    description: str
    numbers: Numbers = field(default_factory=dict)
    undecided: bool = False  # failed for lack of evidence, which is never more than a warning


@dataclass(frozen=True, slots=True)
class Inspection:
    """A published artefact under inspection; `shard` is None for an asset without shards."""

    look: Snapshot
    asset: str
    shard: str | None
    limit: float = 0.0  # the check's, as the config has it

    @property
    def config(self) -> DistillConfig:
        """The project's config."""
        return self.look.config

    @property
    def manifest(self) -> Manifest:
        """The artefact's manifest; NotPublishedError if it is not published."""
        return self.look.get(self.asset, self.shard)

    @property
    def previous(self) -> Manifest | None:
        """The manifest of the version before; None if there is none, or its files are gone."""
        return self.look.project.store.previous(self.asset, self.shard)

    def file(self, name: str) -> Path:
        """One of the artefact's files."""
        return self.manifest.file(name)

    def beside(self, asset: str) -> Manifest:
        """The manifest of another artefact of the same shard."""
        return self.look.get(asset, self.shard)


@dataclass(frozen=True, slots=True)
class Check:
    """A question to a published artefact. Its severity and its limit have a default and a field in the config."""

    name: str
    asset: str
    says: str  # what holds when it passes
    inspect: Callable[[Inspection], Finding]
    severity: Callable[[SeverityConfig], Severity]  # its field among the severities
    limit: Callable[[ChecksConfig], float] | None = None  # its field among the limits
    shows: tuple[str, ...] | None = ()  # reasons of the refused rows that an alert gives as examples; None: any
    wanted: Callable[[DistillConfig], bool] = always  # whether a project with the stage has the check too

    @property
    def default_severity(self) -> Severity:
        """What a failure does if the config does not say."""
        return self.severity(SeverityConfig())

    @property
    def default_limit(self) -> float | None:
        """The limit if the config does not say; None for a check without one."""
        return self.limit(ChecksConfig()) if self.limit else None

    def run(self, look: Snapshot, shard: str | None) -> Finding:
        """Look at the published artefact; `shard` is None for an asset without shards."""
        limit = self.limit(look.config.checks) if self.limit else 0.0
        return self.inspect(Inspection(look, self.asset, shard, limit))

    def severity_in(self, config: DistillConfig) -> Severity:
        """What a failure does in a project with this config."""
        return self.severity(config.checks.severity)


def at_least(have: float, of: float, wanted: float, what: str, numbers: Numbers) -> Finding:
    """Whether `have` of `of` is a share of at least `wanted`; 0 of 0 passes."""
    share = have / of if of else 1.0
    return Finding(
        share >= wanted, f"{have:,} of {of:,} {what} ({share:.1%}); at least {wanted:.1%} are wanted", numbers
    )


def at_most(have: float, of: float, allowed: float, what: str, numbers: Numbers) -> Finding:
    """Whether `have` of `of` is a share of at most `allowed`."""
    share = have / of if of else 0.0
    return Finding(
        share <= allowed, f"{have:,} of {of:,} {what} ({share:.1%}); at most {allowed:.1%} are allowed", numbers
    )
