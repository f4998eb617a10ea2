"""What each asset is made of: the inputs whose fingerprint decides whether there is anything to do.

An artefact's fingerprint is the hash of its stage's code version, the data versions of the artefacts it reads,
and the part of the config that shapes it. The published manifest carries the fingerprint it was made from, so

    fingerprint(inputs_of(project, "teacher_outputs", "train-part-03")) == store.find(…).fingerprint

means that the shard is up to date, whatever was rerun, renamed or touched meanwhile. `STAGES` lists the
lineage in the order in which it can be made, `stages_of` the part of it that a config asks for; `assets/` gives each
stage its Dagster asset.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster import files
from distill_dagster.config import DistillConfig, ModelConfig, TeacherSource
from distill_dagster.config_file import check_config
from distill_dagster.quality import labels
from distill_dagster.records import canonical_json, read_table, sha256
from distill_dagster.requests import ROLES
from distill_dagster.sources.discovery import SourceFile, content_hash, discover, discover_test
from distill_dagster.storage import Store
from distill_dagster.teachers.identity import SHAPING

Inputs = dict[str, Any]

SET_SHAPING = frozenset(  # the fields of QualityConfig that decide which rows are in the set; the others decide checks
    (
        *("labels", "require_gold_agreement", "personal_data", "near_duplicate_similarity", "contamination"),
        *("max_label_share", "min_label_rows"),
    )
)


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
    inputs: Callable[[Project, str | None], Inputs]
    sharded: bool = False
    code_version: str = "1"
    wanted: Callable[[DistillConfig], bool] = lambda _: True  # whether a project of this config has the stage


def _reading(config: DistillConfig) -> Inputs:
    """What decides how a source row is judged."""
    rules = config.data.model_dump(include={"format", "require_system", "max_row_bytes", "validation_share"})
    return {"task": config.task, **rules, "holds_out": not config.data.validation}


def _raw_dataset(project: Project, shard: str | None) -> Inputs:
    source = project.sources()[shard or ""]
    return {"source": content_hash(source), "split": source.split, "reading": _reading(project.config)}


def _eval_dataset(project: Project, _: str | None) -> Inputs:
    sources = {s.key: content_hash(s) for s in discover_test(project.config.data)}
    return {"sources": sources, "reading": _reading(project.config)}


def _model(project: Project, model: ModelConfig) -> Inputs:
    """A model's own inputs: where it stands, or, for a new one, its shape and where its tokenizer comes from."""
    if model.name:
        return {"model": model.model_dump(include={"name", "revision", "dtype"}), "files": _stamps(model.name)}
    shape = {"model": model.model_dump(exclude={"name", "revision"})}
    if model.tokenizer == "teacher":
        return shape | {"teacher_model": project.version_of("teacher_model")}
    return shape | {"raw_dataset": project.versions_of("raw_dataset")}


def _stamps(name: str) -> list[list[str | int]]:
    """Name, size and time of a model folder's files, so that an exchanged model is noticed; [] for a hub name."""
    folder = Path(name)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths if path.is_file()]


def _teacher_model(project: Project, _: str | None) -> Inputs:
    teacher = project.config.teacher
    inputs = _model(project, teacher.model) if teacher.model else {}
    if teacher.sources:
        inputs["sources"] = [_source(project, source) for source in teacher.sources]
        inputs["weights"] = [source.weight for source in teacher.mix]
    if teacher.fit:
        inputs |= {"fit": teacher.fit.model_dump(), "raw_dataset": project.versions_of("raw_dataset")}
        inputs["eval_dataset"] = project.version_of("eval_dataset")  # kept out of the fit
    return inputs


def _source(project: Project, source: TeacherSource) -> Inputs:
    """What shapes the answers of one of several teachers, or of one behind an endpoint."""
    if source.endpoint:
        return source.endpoint.model_dump(include=SHAPING)
    assert source.model is not None, "a source is a model or an endpoint"
    return _model(project, source.model)


def _student_base(project: Project, _: str | None) -> Inputs:
    return _model(project, project.config.student.model)


def _teacher_outputs(project: Project, shard: str | None) -> Inputs:
    teacher = project.config.teacher
    return {
        "raw_dataset": project.version_of("raw_dataset", shard),
        "teacher_model": project.version_of("teacher_model"),
        "dtype": _dtype(teacher.model),
        "generation": teacher.generation.model_dump(),
        "prompting": teacher.prompting,
        "summary_words": teacher.summary_words,
        "choose": teacher.best_of.choose if teacher.best_of else None,
        "labels": project.config.quality.labels,
    }


def _dtype(model: ModelConfig | None) -> str | None:
    return model.dtype if model else None


def _teacher_logits(project: Project, shard: str | None) -> Inputs:
    logits = project.config.teacher.logits
    return {
        "raw_dataset": project.version_of("raw_dataset", shard),
        "teacher_outputs": project.version_of("teacher_outputs", shard),
        "teacher_model": project.version_of("teacher_model"),
        "dtype": _dtype(project.config.teacher.model),
        "logits": logits.model_dump(exclude={"batch_tokens"}) if logits else None,
    }


def _validated_synthetic_set(project: Project, _: str | None) -> Inputs:
    return {
        "raw_dataset": project.versions_of("raw_dataset"),
        "teacher_outputs": project.versions_of("teacher_outputs"),
        "eval_dataset": project.version_of("eval_dataset"),
        "quality": project.config.quality.model_dump(include=set(SET_SHAPING)),
        "learn": project.config.student.learn,
    }


def _student_checkpoint(project: Project, _: str | None) -> Inputs:
    return {
        "validated_synthetic_set": project.version_of("validated_synthetic_set"),
        "student_base": project.version_of("student_base"),
        "training": project.config.student.training.model_dump(),
    }


def labels_of(project: Project) -> list[str] | None:
    """The label set that the benchmarks parse against: the config's, else for classification the gold labels seen."""
    task, quality = project.config.task, project.config.quality
    if quality.labels or task != "classification":
        return quality.labels  # the other tasks know their own
    paths = [project.store.get("raw_dataset", key).file(files.RAW_FILE) for key in sorted(project.sources())]
    rows = (row for path in paths for row in read_table(path, ["task", "split", "reference"]))
    return labels.labels_of(task, quality, rows)


def answer_tokens(config: DistillConfig) -> int:
    """Longest answer, in tokens, that the benchmarks let a model write."""
    return config.evaluation.max_new_tokens or config.teacher.generation.max_new_tokens


def asked_with(config: DistillConfig) -> Inputs:
    """How the teacher is asked, when it teaches and when it is measured."""
    return {"prompting": config.teacher.prompting, "summary_words": config.teacher.summary_words}


def _benchmark_of(model_asset: str) -> Callable[[Project, str | None], Inputs]:
    def inputs(project: Project, _: str | None) -> Inputs:
        config = project.config
        return {
            "eval_dataset": project.version_of("eval_dataset"),
            model_asset: project.version_of(model_asset),
            "dtype": _dtype((config.teacher if model_asset == "teacher_model" else config.student).model),
            "max_new_tokens": answer_tokens(config),
            **(asked_with(config) if model_asset == "teacher_model" else {}),
            "labels": labels_of(project),
            "evaluation": config.evaluation.model_dump(exclude={"retention_target", "max_new_tokens"}),
        }

    return inputs


def _eval_report(project: Project, _: str | None) -> Inputs:
    return {
        **{f"{role}_benchmark": project.version_of(f"{role}_benchmark") for role in ROLES},
        "student_checkpoint": project.version_of("student_checkpoint"),
        "evaluation": project.config.evaluation.model_dump(include={"resamples", "seed", "retention_target"}),
        "name": project.config.name,
    }


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (  # in the order in which they can be made
        Stage("raw_dataset", _raw_dataset, sharded=True),
        Stage("eval_dataset", _eval_dataset),
        Stage("teacher_model", _teacher_model, code_version="2"),
        Stage("teacher_outputs", _teacher_outputs, sharded=True, code_version="3"),
        Stage("teacher_logits", _teacher_logits, sharded=True, wanted=lambda config: config.teacher.logits is not None),
        Stage("validated_synthetic_set", _validated_synthetic_set, code_version="3"),
        Stage("student_base", _student_base),
        Stage("student_checkpoint", _student_checkpoint),
        Stage("teacher_benchmark", _benchmark_of("teacher_model"), code_version="2"),
        Stage("baseline_benchmark", _benchmark_of("student_base"), code_version="2"),
        Stage("student_benchmark", _benchmark_of("student_checkpoint"), code_version="2"),
        Stage("eval_report", _eval_report),
    )
}


def stages_of(config: DistillConfig) -> list[Stage]:
    """The stages that a project of this config has, in the order in which they can be made."""
    return [stage for stage in STAGES.values() if stage.wanted(config)]


def inputs_of(project: Project, name: str, shard: str | None = None) -> Inputs:
    """Everything that shapes an artefact, upstream data versions included.

    Raises:
        NotPublishedError: an artefact that it reads has not been made.
        DataError: its source file is not there.
    """
    stage = STAGES[name]
    return {"stage": name, "code_version": stage.code_version, **stage.inputs(project, shard)}


def fingerprint(inputs: Inputs) -> str:
    """Hex SHA-256 of an artefact's inputs."""
    return sha256(canonical_json(inputs))


def is_fresh(project: Project, name: str, shard: str | None = None) -> bool:
    """Whether the published artefact was made from exactly the inputs that are there now."""
    manifest = project.store.find(name, shard)
    return manifest is not None and manifest.is_made_from(fingerprint(inputs_of(project, name, shard)))
