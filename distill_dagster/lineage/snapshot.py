"""A snapshot of a project: its source files, and the artefacts that it has published.

    look = Snapshot(project)
    look.shards                                     ["train-part-00", "train-part-01", "validation"]
    look.source_version("train-part-00")            "5b3c…", the hash of the file's bytes
    look.find("teacher_outputs", "train-part-00")   its manifest, or None

Everything is read once, when it is first needed; a file that changes later belongs to the next snapshot. So an
operation over all shards lists the files once, and two of its steps never disagree about them.
"""

from functools import cached_property
from pathlib import Path

from distill_dagster.config import DistillConfig
from distill_dagster.errors import DataError, NotPublishedError
from distill_dagster.lineage.project import Project
from distill_dagster.sources.files.discovery import SourceFile, discover, discover_test
from distill_dagster.sources.files.versions import SourceVersions, UnreadableError
from distill_dagster.store.manifest import Manifest


def title_of(asset: str, shard: str | None) -> str:
    """An artefact's name for people, such as `teacher_outputs[train-part-03]`."""
    return f"{asset}[{shard}]" if shard else asset


class Snapshot:
    """The source files and the manifests of a project at one time."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._manifests: dict[tuple[str, str | None], Manifest | None] = {}
        self._versions: dict[str, str] = {}
        self._unreadable: dict[str, UnreadableError] = {}

    @property
    def config(self) -> DistillConfig:
        """The project's config."""
        return self.project.config

    @cached_property
    def sources(self) -> dict[str, SourceFile]:
        """Shard -> source file, of every training and validation file; DataError if a pattern matches none."""
        return {source.key: source for source in discover(self.config.data)}

    @cached_property
    def shards(self) -> list[str]:
        """The keys of all shards, sorted."""
        return sorted(self.sources)

    @cached_property
    def test_sources(self) -> list[SourceFile]:
        """Every held-out file; DataError if a pattern matches none."""
        return discover_test(self.config.data)

    def source(self, shard: str | None) -> SourceFile:
        """A shard's source file.

        Raises:
            DataError: the shard no longer has one.
        """
        if shard not in self.sources:
            raise DataError(f"shard {shard!r} no longer has a source file: it was removed or renamed")
        return self.sources[shard]

    def read_sources(self) -> dict[str, UnreadableError]:
        """Read the version of every source file in one pass; returns key -> error of those that cannot be read."""
        self._learn([*self.sources.values(), *self.test_sources])
        return dict(self._unreadable)

    def source_version(self, shard: str) -> str:
        """The content hash of a shard's file; UnreadableError if the file cannot be read."""
        return self._version_of(self.source(shard))

    def test_versions(self) -> dict[str, str]:
        """Key -> content hash of the held-out files; UnreadableError if one cannot be read."""
        return {source.key: self._version_of(source) for source in self.test_sources}

    def find(self, asset: str, shard: str | None = None) -> Manifest | None:
        """The manifest of a published artefact, or None."""
        key = asset, shard
        if key not in self._manifests:
            self._manifests[key] = self.project.store.find(asset, shard)
        return self._manifests[key]

    def get(self, asset: str, shard: str | None = None) -> Manifest:
        """The manifest of a published artefact; NotPublishedError if it is not published."""
        manifest = self.find(asset, shard)
        if manifest is None:
            raise NotPublishedError(
                f"{title_of(asset, shard)} is not in {self.project.store.root} yet: materialize it first"
            )
        return manifest

    def get_all(self, asset: str) -> dict[str, Manifest]:
        """The manifests of all shards of an asset, in the order of their keys."""
        return {shard: self.get(asset, shard) for shard in self.shards}

    def forget(self, asset: str, shard: str | None = None) -> None:
        """Drop the manifest of an artefact that was made since; it is read again when it is needed."""
        self._manifests.pop((asset, shard), None)

    def _version_of(self, source: SourceFile) -> str:
        if source.key not in self._versions and source.key not in self._unreadable:
            self._learn([source])
        if source.key in self._unreadable:
            raise self._unreadable[source.key]
        return self._versions[source.key]

    def _learn(self, sources: list[SourceFile]) -> None:
        memory = SourceVersions(Path(self.config.store) / "source_versions.json")
        versions, unreadable = memory.readable(sources)
        self._versions |= versions
        self._unreadable |= unreadable
