"""Makes the relative paths of a config absolute."""

import os
from collections.abc import Callable
from pathlib import Path

from distill_dagster.config import DistillConfig, ModelConfig, ReleaseConfig, TeacherConfig, TeacherSource
from distill_dagster.config.bucket import is_bucket


def _absolute(path: str, base: Path) -> str:
    """`path` made absolute from `base`; a URL stays as it is."""
    return path if "://" in path else os.path.normpath(base / Path(path).expanduser())


def resolve_paths(config: DistillConfig, base: Path) -> DistillConfig:
    """Make every relative path absolute; a model's name counts as a path only if such a folder exists."""

    def model(section: ModelConfig) -> ModelConfig:
        is_path = section.name is not None and (
            section.name.startswith((".", "/", "~")) or (base / section.name).is_dir()
        )
        return (
            section.model_copy(update={"name": _absolute(section.name, base)}) if is_path and section.name else section
        )

    data = {
        split: [_absolute(p, base) for p in getattr(config.data, split)] for split in ("train", "validation", "test")
    }
    return config.model_copy(
        update={
            "store": _absolute(config.store, base),
            "local_folder": _absolute(config.local_folder, base) if is_bucket(config.store) else config.local_folder,
            "data": config.data.model_copy(update=data),
            "teacher": _teacher(config.teacher, model),
            "release": config.release and _release(config.release, base),
            "student": config.student.model_copy(
                update={"model": config.student.model and model(config.student.model)}
            ),
        }
    )


def _release(config: ReleaseConfig, base: Path) -> ReleaseConfig:
    """Make the path of the folder where the release is published absolute."""
    places = config.publish
    if places is None or places.folder is None:
        return config
    folder = places.folder.model_copy(update={"path": _absolute(places.folder.path, base)})
    return config.model_copy(update={"publish": places.model_copy(update={"folder": folder})})


def _teacher(config: TeacherConfig, absolute: Callable[[ModelConfig], ModelConfig]) -> TeacherConfig:
    """Make the paths of all teachers' models absolute."""

    def source(given: TeacherSource) -> TeacherSource:
        return given.model_copy(update={"model": absolute(given.model)}) if given.model else given

    best_of = config.best_of and config.best_of.model_copy(
        update={
            "teachers": [source(given) for given in config.best_of.teachers],
            "judge": config.best_of.judge and source(config.best_of.judge),
        }
    )
    model = config.model and absolute(config.model)
    return config.model_copy(
        update={"model": model, "mix": [source(given) for given in config.mix], "best_of": best_of}
    )
