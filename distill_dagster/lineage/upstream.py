"""What the maker of an artefact may read: what its stage declares and nothing else.

    upstream = Upstream(look, STAGES["teacher_outputs"], "train-part-03")
    upstream.file("raw_dataset", files.RAW_FILE)      the shard's rows: declared in `reads`
    upstream.file("eval_dataset", files.RAW_FILE)     AssertionError: teacher_outputs does not declare it

So no artefact can be made from something that Dagster does not know as its dependency.
"""

from dataclasses import dataclass

from distill_dagster.config import DistillConfig
from distill_dagster.lineage.labels import labels_come_from, labels_of
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import RAW_SHARDS, STAGES, TEST_FILES, Stage, ancestors, follows, stages_of
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.store.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Upstream:
    """The inputs of one artefact of `stage`; `shard` is None for a stage without shards."""

    look: Snapshot
    stage: Stage
    shard: str | None
    started_by: str = "a caller of the library"  # how the run was started, and by whom
    run_id: str | None = None

    @property
    def project(self) -> Project:
        """The project."""
        return self.look.project

    @property
    def config(self) -> DistillConfig:
        """The project's config."""
        return self.look.config

    def artefact(self, name: str) -> Manifest:
        """An artefact that the stage reads; of a sharded one, the shard's own.

        Raises:
            NotPublishedError: it has not been made.
        """
        self._require_declared(name)
        return self.look.get(name, self.shard if STAGES[name].sharded else None)

    def shards(self, name: str) -> dict[str, Manifest]:
        """All shards of an artefact that the stage reads, in the order of their keys; NotPublishedError as above."""
        self._require_declared(name)
        return self.look.get_all(name)

    def file(self, name: str, file: str) -> str:
        """The path of a file of `artefact(name)`."""
        return str(self.artefact(name).file(file))

    def files(self, name: str, file: str) -> list[str]:
        """The paths of that file in all of `shards(name)`."""
        return [str(manifest.file(file)) for manifest in self.shards(name).values()]

    def reads(self, name: str) -> bool:
        """Whether the stage declares an artefact, in a project with this config."""
        return name in follows(self.stage, self.config)

    def source(self) -> SourceFile:
        """The shard's source file."""
        self._require_declared(RAW_SHARDS)
        return self.look.source(self.shard)

    def test_sources(self) -> list[SourceFile]:
        """The held-out files."""
        self._require_declared(TEST_FILES)
        return self.look.test_sources

    def labels(self) -> list[str] | None:
        """The label set, which `Stage.also` declares as an input."""
        assert self.stage.consults is labels_come_from, f"{self.stage.name} does not declare the labels"
        return labels_of(self.look)

    def provenance(self, name: str) -> Manifest:
        """The manifest of a stage further up, for what a guard, a model card or the report says of it."""
        assert name in ancestors(self.stage, self.config), f"{self.stage.name} is not made from {name}"
        return self.look.get(name)

    def ancestry(self) -> list[Manifest]:
        """The manifests of all that the stage is made from, directly or not, for a model card."""
        names = ancestors(self.stage, self.config)
        return [
            manifest
            for stage in stages_of(self.config)
            if stage.name in names
            for manifest in (self.look.get_all(stage.name).values() if stage.sharded else [self.look.get(stage.name)])
        ]

    def _require_declared(self, name: str) -> None:
        declared = follows(self.stage, self.config)
        assert name in declared, f"{self.stage.name} reads {name}, and its Stage declares {', '.join(declared)}"
