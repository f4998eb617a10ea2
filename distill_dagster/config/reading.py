"""Read `distill.yaml`: expand variables, name every wrong field at once, make paths absolute.

Relative paths start from the folder of the file. `${NAME}` in any text is replaced by the environment variable of that
name, for values that differ from machine to machine:

    store: ${SCRATCH}/store     with SCRATCH=/mnt/fast     ->  /mnt/fast/store
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from distill_dagster.config import DistillConfig, ModelConfig, TeacherConfig, TeacherSource
from distill_dagster.errors import ConfigError

CONFIG_VARIABLE = "DISTILL_CONFIG"
CONFIG_NAME = "distill.yaml"
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _absolute(path: str, base: Path) -> str:
    """`path` made absolute from `base`; a URL stays as it is."""
    return path if "://" in path else os.path.normpath(base / Path(path).expanduser())


def _resolve_paths(config: DistillConfig, base: Path) -> DistillConfig:
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
            "data": config.data.model_copy(update=data),
            "teacher": _teacher(config.teacher, model),
            "student": config.student.model_copy(update={"model": model(config.student.model)}),
        }
    )


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


def _explain(error: ValidationError, where: str) -> str:
    """Pydantic's errors as lines of `field.path: what is wrong (got value)`."""
    lines = []
    for e in error.errors():
        field = ".".join(str(part) for part in e["loc"]) or "(the whole file)"
        if e["type"] == "extra_forbidden":
            lines.append(f"  {field}: no such field; remove it or look for a typo")
        elif e["type"] == "missing":
            lines.append(f"  {field}: this field is required")
        else:
            given = e["input"] if isinstance(e["input"], str | int | float | bool | None) else "…"
            lines.append(f"  {field}: {e['msg'].removeprefix('Value error, ')} (got {given!r})")
    return f"{where}: {len(lines)} problem(s)\n" + "\n".join(lines)


def check_config(raw: dict[str, Any], where: str) -> DistillConfig:
    """Check a mapping and return it as a config.

    Raises:
        ConfigError: fields are wrong; the message lists all of them, and `where` the mapping comes from.
    """
    try:
        return DistillConfig.model_validate(raw)
    except ValidationError as e:
        raise ConfigError(_explain(e, where)) from e


def _expand(value: Any, where: str, field: str = "") -> Any:
    """Replace `${NAME}` in any text by the environment variable of that name."""
    if isinstance(value, dict):
        return {key: _expand(inner, where, f"{field}.{key}".strip(".")) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, where, f"{field}.{i}") for i, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    if missing := [name for name in VARIABLE.findall(value) if name not in os.environ]:
        raise ConfigError(f"{where}: {field} names the environment variable {missing[0]}, which is not set: export it")
    return VARIABLE.sub(lambda match: os.environ[match[1]], value)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def config_of(raw: dict[str, Any], folder: Path, where: str) -> DistillConfig:
    """The config of a project: variables are expanded, fields checked, and relative paths start from `folder`.

    Raises:
        ConfigError: a variable is not set, or fields are wrong; the message names `where` the mapping comes from.
    """
    return _resolve_paths(check_config(_expand(raw, where), where), folder)


def load_config(path: str | os.PathLike[str], folder: Path | None = None) -> DistillConfig:
    """Read and check a `distill.yaml`. Relative paths start from its folder, or from `folder` if given.

    Raises:
        ConfigError: the file does not exist, is not a YAML mapping, or has wrong fields, which are all listed.
    """
    path = Path(path).expanduser().resolve()
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(
            f"{path}: cannot be read ({e.strerror}); `distill-dagster init` writes a config to start from"
        ) from e
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: not valid YAML: {e}") from e
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path}: the file holds {_kind(raw)}, not a mapping of fields: see docs/config.md and examples/"
        )
    return config_of(raw, folder.resolve() if folder else path.parent, str(path))
