"""A snapshot of a project: its source files, and the artefacts that it has published.

    look = Snapshot(project)
    look.shards                                     ["train-part-00", "train-part-01", "validation"]
    look.source_version("train-part-00")            "5b3c…", the hash of the file's bytes
    look.find("teacher_outputs", "train-part-00")   its manifest, or None

Everything is read once, when it is first needed; a file that changes later belongs to the next snapshot. So an
operation over all shards lists the files once, and two of its steps never disagree about them.
"""

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cached_property

from distill_dagster.config import DistillConfig
from distill_dagster.errors import DataError, NotPublishedError
from distill_dagster.lineage.project import Project
from distill_dagster.sources.files.discovery import SourceFile, discover, discover_test
from distill_dagster.sources.files.versions import SourceVersions, UnreadableError
from distill_dagster.store.manifest import Manifest, title_of

_walk: ContextVar["Snapshot | None"] = ContextVar("walk", default=None)


@contextlib.contextmanager
def shared(look: "Snapshot") -> Iterator[None]:
    """Let every snapshot that this thread takes inside the block have the source files of `look`.

    So each asset of a walk through the lineage sees the files that the walk began with, and does not list them again.
    """
    token = _walk.set(look)
    try:
        yield
    finally:
        _walk.reset(token)


def changes_since(look: "Snapshot") -> list[str]:
    """The source files that came, went or changed since a snapshot was taken, such as `train-part-03 changed`.

    Raises:
        DataError: a pattern of the config matches no file any more.
    """
    now = Snapshot(look.project)
    sources = [*now.sources.values(), *now.test_sources], [*look.sources.values(), *look.test_sources]
    present, before = ({source.key: source for source in found} for found in sources)
    unreadable = now.read_sources()
    both = [key for key in sorted(present.keys() & before.keys()) if key not in unreadable]
    return [
        *(f"{key} is new" for key in sorted(present.keys() - before.keys())),
        *(f"{key} is gone" for key in sorted(before.keys() - present.keys())),
        *(f"{key} changed" for key in both if now.known_version(key) != look.known_version(key)),
    ]


def _same_files(one: DistillConfig, other: DistillConfig) -> bool:
    return one.store == other.store and one.data == other.data


class Snapshot:
    """The source files and the manifests of a project at one time."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._source_versions = SourceVersions(project.config.local_root / "source_versions.json")
        self._manifests: dict[tuple[str, str | None], Manifest | None] = {}
        self._looked_at: set[str] = set()  # assets whose shards were read at once
        self._versions: dict[str, str] = {}
        self._unreadable: dict[str, UnreadableError] = {}
        if (walk := _walk.get()) and _same_files(walk.config, project.config):
            self._source_versions = walk._source_versions
            self.sources, self.test_sources = walk.sources, walk.test_sources

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

    def read_sources(self, seconds: float = math.inf) -> dict[str, UnreadableError]:
        """Read the version of every source file in one pass; returns key -> error of those that cannot be read.

        New and changed files are hashed for `seconds`; the versions of those that are left stay unknown.
        """
        self._learn([*self.test_sources, *self.sources.values()], seconds)
        return dict(self._unreadable)

    def source_version(self, shard: str) -> str:
        """The content hash of a shard's file; UnreadableError if the file cannot be read."""
        return self._version_of(self.source(shard))

    def known_version(self, key: str) -> str | None:
        """The content hash of a file that was read already, held-out files included; None for another one."""
        return self._versions.get(key)

    def test_versions(self) -> dict[str, str]:
        """Key -> content hash of the held-out files; UnreadableError if one cannot be read."""
        return {source.key: self._version_of(source) for source in self.test_sources}

    def find(self, asset: str, shard: str | None = None) -> Manifest | None:
        """The manifest of a published artefact, or None."""
        key = asset, shard
        if key not in self._manifests and shard is not None and asset not in self._looked_at:
            self._look_at_all(asset)
        if key not in self._manifests:
            self._manifests[key] = self.project.store.find(asset, shard)
        return self._manifests[key]

    def _look_at_all(self, asset: str) -> None:
        """Read the manifests of all shards of an asset at once, if that is how the store reads them best."""
        self._looked_at.add(asset)
        found = self.project.store.find_all(asset)
        if found is not None:
            for shard in {**self.sources, **found}:
                self._manifests.setdefault((asset, shard), found.get(shard))

    def get(self, asset: str, shard: str | None = None) -> Manifest:
        """The manifest of a published artefact; NotPublishedError if it is not published."""
        manifest = self.find(asset, shard)
        if manifest is None:
            raise NotPublishedError.of(title_of(asset, shard), self.project.store.name)
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

    def _learn(self, sources: list[SourceFile], seconds: float = math.inf) -> None:
        versions, unreadable = self._source_versions.readable(sources, seconds)
        self._versions |= versions
        self._unreadable |= unreadable
