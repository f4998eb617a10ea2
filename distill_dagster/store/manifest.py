"""The manifest of a published artefact: what it was made from, what it holds, and what its maker reports."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from distill_dagster.store.result import Result

R = TypeVar("R", bound=Result[Any])


def title_of(asset: str, shard: str | None) -> str:
    """An artefact's name for people, such as `teacher_outputs[train-part-03]`."""
    return f"{asset}[{shard}]" if shard else asset


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a published artefact; `folder` holds its files."""

    asset: str
    shard: str | None
    fingerprint: str  # hash of everything that went in: equal means there is nothing to do
    data_version: str  # hash of the content: equal means that nothing downstream is stale
    inputs: dict[str, Any]  # the values that the fingerprint hashes
    counts: dict[str, int]
    facts: dict[str, Any]  # scores, usage, versions: what the maker reports
    files: dict[str, str]  # path inside the folder -> sha256
    version: str
    created_at: str
    complete: bool = True
    folder: Path = field(default=Path(), compare=False)

    def is_made_from(self, fingerprint: str) -> bool:
        """Whether the artefact is complete and was made from exactly these inputs."""
        return self.complete and self.fingerprint == fingerprint

    @property
    def launchpad(self) -> dict[str, Any]:
        """The settings in which the run that made it differed from distill.yaml; {} for most artefacts."""
        return self.facts.get("launchpad", {})

    def read(self, kind: type[R]) -> R:
        """The worker's typed result."""
        said = {**self.facts, "counts": self.counts, "data_version": self.data_version, "complete": self.complete}
        return kind.model_validate(said)

    def file(self, name: str) -> Path:
        """Path of one of the artefact's files."""
        return self.folder / name
