"""What each asset is made of: the inputs whose fingerprint decides whether there is anything to do.

An artefact's fingerprint is the hash of its stage's code version, the data versions of the artefacts it reads,
and the part of the config that shapes it. The published manifest carries the fingerprint it was made from, so

    fingerprint(inputs_of(project, "teacher_outputs", "train-part-03")) == store.find(…).fingerprint

means that the shard is up to date, whatever was rerun, renamed or touched meanwhile. `STAGES` lists the
lineage in the order in which it can be made, `stages_of` the part of it that a config asks for; `assets/` gives each
stage its Dagster asset.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import ROLES, DistillConfig, ModelConfig
from distill_dagster.config.reading import check_config
from distill_dagster.errors import DataError
from distill_dagster.lineage import settings
from distill_dagster.quality import labels
from distill_dagster.sources.files.discovery import SourceFile, discover, discover_test
from distill_dagster.sources.files.versions import SourceVersions, UnreadableError
from distill_dagster.store import files
from distill_dagster.store.artefacts import Store
from distill_dagster.store.hashing import canonical_json, sha256
from distill_dagster.store.parquet import read_table
from distill_dagster.tasks import get_task

Inputs = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Project:
    """A config and the store that belongs to it."""

    config: DistillConfig

    @property
    def store(self) -> Store:
        """Where the project's artefacts are."""
        return Store(Path(self.config.store))

    def with_training(self, changes: dict[str, Any]) -> "Project":
        """The same project with other training settings, checked as those of distill.yaml are."""
        return self._changed(("student", "training"), changes)

    def with_generation(self, changes: dict[str, Any]) -> "Project":
        """The same project with other generation settings, checked as those of distill.yaml are."""
        return self._changed(("teacher", "generation"), changes)

    def _changed(self, path: tuple[str, str], changes: dict[str, Any]) -> "Project":
        if not changes:
            return self
        settings = self.config.model_dump()
        settings[path[0]][path[1]].update(changes)
        return Project(check_config(settings, f"the run's config ({'.'.join(path)})"))

    def sources(self) -> dict[str, SourceFile]:
        """Shard key -> source file, of every training and validation file that is there now."""
        return {source.key: source for source in discover(self.config.data)}

    def test_sources(self) -> list[SourceFile]:
        """Every held-out file that is there now."""
        return discover_test(self.config.data)

    def source_versions(self, sources: list[SourceFile]) -> dict[str, str]:
        """Key -> content hash of source files, read only where they changed since they were last looked at."""
        return self._source_versions.of(sources)

    def readable_versions(self, sources: list[SourceFile]) -> tuple[dict[str, str], dict[str, UnreadableError]]:
        """The same of those that can be read, and by key what is wrong with the others."""
        return self._source_versions.readable(sources)

    @property
    def _source_versions(self) -> SourceVersions:
        return SourceVersions(Path(self.config.store) / "source_versions.json")

    @property
    def responses(self) -> Path:
        """Where every reply is kept that the project has paid for."""
        return Path(self.config.store) / "responses"

    def version_of(self, asset: str, shard: str | None = None) -> str:
        """Data version of a published artefact; NotPublishedError where there is none."""
        return self.store.get(asset, shard).data_version

    def versions_of(self, asset: str) -> dict[str, str]:
        """Data versions of all shards of an asset."""
        return {key: self.version_of(asset, key) for key in sorted(self.sources())}


@dataclass(frozen=True, slots=True)
class Stage:
    """One asset of the lineage. `code_version` rises when the same inputs would give another result."""

    name: str
    settings: Callable[[DistillConfig], Inputs]  # the part of the config that shapes it
    reads: Callable[[DistillConfig], Sequence[str]]  # the artefacts that it is made from
    also: Callable[["Project", str | None], Inputs] = lambda *_: {}  # what else it is made from
    consults: Callable[[DistillConfig], Sequence[str]] = lambda _: ()  # artefacts of which a part is among `also`
    sharded: bool = False
    code_version: str = "1"
    wanted: Callable[[DistillConfig], bool] = lambda _: True  # whether a project of this config has the stage


def _reads(*assets: str) -> Callable[[DistillConfig], Sequence[str]]:
    return lambda _: assets


def _version(project: Project, asset: str, shard: str | None) -> str | dict[str, str]:
    """The version of an artefact; of a sharded one its own shard's, or all shards' where the reader has none itself."""
    if not STAGES[asset].sharded:
        return project.version_of(asset)
    return project.versions_of(asset) if shard is None else project.version_of(asset, shard)


def _source(project: Project, shard: str | None) -> Inputs:
    source = project.sources().get(shard or "")
    if source is None:
        raise DataError(
            f"shard {shard!r} has no source file any more: it was removed or renamed; nothing is to be made"
        )
    return {"source": project.source_versions([source])[source.key], "split": source.split}


def _test_files(project: Project, _: str | None) -> Inputs:
    return {"sources": project.source_versions(project.test_sources())}


def _teacher_reads(config: DistillConfig) -> Sequence[str]:
    model = config.teacher.model
    reads = set(_tokenizer_reads(model)) if model else set()
    return sorted(reads | ({"raw_dataset", "eval_dataset"} if config.teacher.fit else set()))  # kept out of the fit


def _tokenizer_reads(model: ModelConfig) -> Sequence[str]:
    """Where a new model's tokenizer comes from; an existing one brings its own."""
    if model.name:
        return ()
    return ("teacher_model",) if model.tokenizer == "teacher" else ("raw_dataset",)


def _labels(project: Project, _: str | None) -> Inputs:
    return {"labels": labels_of(project)}


def _labels_are_in(config: DistillConfig) -> Sequence[str]:
    """Where the labels are seen that the config does not name."""
    return ("raw_dataset",) if get_task(config.task).labels_from_gold and not config.quality.labels else ()


def labels_of(project: Project) -> list[str] | None:
    """The label set that the benchmarks parse against: the config's, or the gold labels seen if the task uses those."""
    task, quality = project.config.task, project.config.quality
    if quality.labels or not get_task(task).labels_from_gold:
        return quality.labels  # the other tasks know their own
    paths = [project.store.get("raw_dataset", key).file(files.RAW_FILE) for key in sorted(project.sources())]
    rows = (row for path in paths for row in read_table(path, ["task", "split", "reference"]))
    return labels.labels_of(task, quality, rows)


def _benchmark(name: str, shaping: Callable[[DistillConfig], Inputs], model: str) -> Stage:
    return Stage(name, shaping, _reads("eval_dataset", model), _labels, _labels_are_in, code_version="3")


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (  # in the order in which they can be made
        Stage("raw_dataset", settings.reading, _reads(), _source, sharded=True),
        Stage("eval_dataset", settings.reading, _reads(), _test_files),
        Stage("teacher_model", settings.teacher_model, _teacher_reads, code_version="2"),
        Stage(
            "teacher_outputs",
            settings.teacher_outputs,
            _reads("raw_dataset", "teacher_model"),
            sharded=True,
            code_version="4",
        ),
        Stage(
            "teacher_logits",
            settings.teacher_logits,
            _reads("raw_dataset", "teacher_outputs", "teacher_model"),
            sharded=True,
            wanted=lambda config: config.teacher.logits is not None,
        ),
        Stage(
            "validated_synthetic_set",
            settings.validated_synthetic_set,
            _reads("raw_dataset", "teacher_outputs", "eval_dataset"),
            code_version="4",
        ),
        Stage("student_base", settings.student_base, lambda config: _tokenizer_reads(config.student.model)),
        Stage("student_checkpoint", settings.student_checkpoint, _reads("validated_synthetic_set", "student_base")),
        _benchmark("teacher_benchmark", settings.teacher_benchmark, "teacher_model"),
        _benchmark("baseline_benchmark", settings.student_benchmark, "student_base"),
        _benchmark("student_benchmark", settings.student_benchmark, "student_checkpoint"),
        Stage(
            "eval_report",
            settings.eval_report,
            _reads(*(f"{role}_benchmark" for role in ROLES), "student_checkpoint"),
            code_version="2",
        ),
    )
}


def stages_of(config: DistillConfig) -> list[Stage]:
    """The stages that a project of this config has, in the order in which they can be made."""
    return [stage for stage in STAGES.values() if stage.wanted(config)]


def inputs_of(project: Project, name: str, shard: str | None = None) -> Inputs:
    """Everything that shapes an artefact, upstream data versions included.

    Raises:
        NotPublishedError: an artefact that it reads has not been made.
        DataError: its source file is not there, or cannot be read (UnreadableError).
    """
    stage = STAGES[name]
    own = {"stage": name, "code_version": stage.code_version}
    versions = {asset: _version(project, asset, shard) for asset in stage.reads(project.config)}
    return {**own, **stage.settings(project.config), **versions, **stage.also(project, shard)}


def follows(stage: Stage, config: DistillConfig) -> set[str]:
    """Artefacts whose change may make it stale, in a project of this config."""
    return {*stage.reads(config), *stage.consults(config)}


def title_of(asset: str, shard: str | None) -> str:
    """An artefact's name for people, such as `teacher_outputs[train-part-03]`."""
    return f"{asset}[{shard}]" if shard else asset


def code_versions(config: DistillConfig) -> dict[str, str]:
    """Dagster's code version of each stage: changes with its own, with the part of the config that shapes it, and with
    the code version of what it follows, so that a whole chain knows of a change before its first link is made again.
    """
    versions: dict[str, str] = {}
    for stage in stages_of(config):
        shaped_by = [stage.settings(config), sorted(versions[asset] for asset in follows(stage, config))]
        versions[stage.name] = f"{stage.code_version}.{sha256(canonical_json(shaped_by))[:12]}"
    return versions


def fingerprint(inputs: Inputs) -> str:
    """Hex SHA-256 of an artefact's inputs."""
    return sha256(canonical_json(inputs))


def is_fresh(project: Project, name: str, shard: str | None = None) -> bool:
    """Whether the published artefact was made from exactly the inputs that are there now.

    Nobody knows that of a source file that cannot be read; making it says why.
    """
    manifest = project.store.find(name, shard)
    try:
        return manifest is not None and manifest.is_made_from(fingerprint(inputs_of(project, name, shard)))
    except UnreadableError:
        return False
