"""The versions of artefacts that go: those before the current ones, when they are old and nothing needs them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from distill_dagster.clearing.lineages import being_read, kept_releases, must_stay
from distill_dagster.clearing.specs import Dated, Lot, Part, Rules, by_reason
from distill_dagster.config import DistillConfig
from distill_dagster.store import files
from distill_dagster.store.artefacts import Store
from distill_dagster.store.old_versions import NamedVersion, OldVersions, Unnamed
from distill_dagster.store.places import old_versions_of

WRITTEN = "its artefact is being made, or was published meanwhile"


@dataclass(slots=True)
class VersionsToClear:
    """What goes of a store's versions, what stays, and the files that no manifest names."""

    store: Store
    named: list[NamedVersion] = field(default_factory=list)
    going: dict[NamedVersion, Dated] = field(default_factory=dict)
    staying: list[tuple[str, Dated]] = field(default_factory=list)
    unnamed: dict[Unnamed, Dated] = field(default_factory=dict)

    @classmethod
    def look(cls, store: Store, config: DistillConfig, rules: Rules) -> "VersionsToClear":
        """Look at all of them.

        Raises:
            DataError: a manifest is damaged, a file of the release is gone, or the store cannot be used.
        """
        versions = old_versions_of(store)
        found = cls(store, versions.named())
        reasons = must_stay(found.named, kept_releases(store)[0])
        reasons |= being_read(found.named, versions.written_now(), config)
        for version in (version for version in found.named if version.replaced_at is not None):
            found._add(versions, version, _why_it_stays(version, reasons, rules))
        found.unnamed = {left: Dated(f"{left.key} {left.place}", left.size, left.since) for left in versions.unnamed()}
        return found

    def _add(self, versions: OldVersions, version: NamedVersion, why: str | None) -> None:
        assert version.replaced_at is not None, "the current version never goes"
        thing = Dated(f"{version.key} {version.version}", versions.size(version), version.replaced_at)
        if why:
            self.staying.append((why, thing))
        else:
            self.going[version] = thing

    def part(self) -> Part:
        """The same, to be shown and deleted."""
        current = sum(version.replaced_at is None for version in self.named)
        lots = [
            Lot.of("version", self.going.values()),
            Lot.of("unnamed file", self.unnamed.values()),
            *by_reason("version", self.staying),
            Lot("version", current, None, why="it is current"),
        ]
        return Part(lots, self._delete)

    def _delete(self) -> list[Lot]:
        versions = old_versions_of(self.store)
        gone = {version for version in self.going if versions.delete(version)}
        left = versions.delete_unnamed(list(self.unnamed))
        missed = [(WRITTEN, found) for version, found in self.going.items() if version not in gone]
        return [
            Lot.of("version", [self.going[version] for version in gone]),
            Lot.of("unnamed file", [self.unnamed[file] for file in left]),
            *by_reason("version", missed),
        ]

    def tables(self, asset: str, name: str) -> Iterator[Path]:
        """A file of each version of an asset that stays, as far as it is there."""
        for version in self.named:
            if version.asset == asset and version not in self.going and name in version.files:
                path = self.store.backend.files_at(version.key, version.version, version.files).local([name]) / name
                if path.is_file():
                    yield path

    def answers(self) -> Iterator[Path]:
        """The tables of answers that stay."""
        return self.tables("teacher_outputs", files.TEACHER_FILE)


def _why_it_stays(version: NamedVersion, reasons: dict[NamedVersion, str], rules: Rules) -> str | None:
    """The reason, of a version before the current one; None if it goes."""
    if rules.keep > 1:
        return f"it is among the newest {rules.keep}"  # a store has two at most
    if version in reasons:
        return reasons[version]
    assert version.replaced_at is not None, "the current version never goes"
    return None if rules.is_old(version.replaced_at) else f"it was replaced less than {rules.days:g} days ago"
