"""Read `distill.yaml`: expand variables, name every wrong field at once, make paths absolute.

Relative paths start from the folder of the file. `${NAME}` in any text is replaced by the environment variable of that
name, for values that differ from machine to machine:

    store: ${SCRATCH}/store     with SCRATCH=/mnt/fast     ->  /mnt/fast/store

A plain scalar counts as text where text is expected, so that `labels: [yes, 1.10]` needs no quotes.
"""

import os
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from distill_dagster.config import DistillConfig
from distill_dagster.config.bucket import is_bucket
from distill_dagster.config.credentials import credentials_in
from distill_dagster.config.explaining import Source, explain, locate
from distill_dagster.config.key_shapes import dotted, is_variable_name
from distill_dagster.config.paths import resolve_paths
from distill_dagster.config.written import Location, Written, YamlError, read_yaml
from distill_dagster.errors import ConfigError

CONFIG_VARIABLE = "DISTILL_CONFIG"
CONFIG_NAME = "distill.yaml"
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
FREE = ("settings", "extra_body")  # sections of any fields and types
UNCLEAR = "YAML 1.1 and 1.2 read `{}` differently: quote it if it is text, else write true, false or a plain number"


def check_config(raw: dict[str, Any], where: Source | str) -> DistillConfig:
    """Check a mapping and return it as a config; `where` it comes from is for messages.

    A plain scalar counts as text where text is expected: the label `1.10` in YAML is "1.10".

    Raises:
        ConfigError: fields are wrong; the message lists all of them.
    """
    source = _source(where)
    if found := list(credentials_in(raw)):
        raise source.error([(at, f"{dotted(at)}: {problem}") for at, problem in found])
    try:
        return DistillConfig.model_validate(raw)
    except ValidationError as e:
        as_text = _with_text(raw, e, source)
        if as_text is not None:
            return check_config(as_text, source)
        raise explain(e, source, raw) from e


def _source(where: Source | str) -> Source:
    return Source(where) if isinstance(where, str) else where


def _with_text(raw: Any, error: ValidationError, source: Source) -> Any:
    """The values with the written text of those that should be text and are not; None if there are none."""
    wrong = [locate(e["loc"], raw) for e in error.errors() if e["type"] == "string_type" and e["input"] is not None]
    texts = {at: text for at in wrong if (text := source.written(at)) is not None}
    return _replaced(raw, texts) if texts else None


def _replaced(value: Any, texts: dict[Location, str], at: Location = ()) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, texts, (*at, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, texts, (*at, n)) for n, inner in enumerate(value)]
    return texts.get(at, value)


def _expand(value: Any, source: Source, at: Location = ()) -> Any:
    """Replace `${NAME}` in any text by the environment variable of that name."""
    if isinstance(value, dict):
        return {key: _expand(inner, source, (*at, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, source, (*at, n)) for n, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in VARIABLE.findall(value):
        if not is_variable_name(name):
            raise source.error([(at, f"{dotted(at)}: put the variable's NAME between ${{ and }}, not its value")])
        if not os.environ.get(name):
            wrong = "is empty: give it a value" if name in os.environ else "is not set: export it"
            raise source.error([(at, f"{dotted(at)} names the environment variable {name}, which {wrong}")])
    return VARIABLE.sub(lambda match: os.environ[match[1]], value)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def config_of(raw: dict[str, Any], folder: Path, where: Source | str) -> DistillConfig:
    """The config of a project: variables are expanded, fields checked, and relative paths start from `folder`.

    Raises:
        ConfigError: a variable is not set or empty, or fields are wrong; the message names file and lines.
    """
    source = _source(where)
    if unclear := [at for at, place in source.places.items() if place.is_other_in_1_1 and _is_free(at)]:
        raise source.error([(at, f"{dotted(at)}: {UNCLEAR.format(source.written(at))}") for at in unclear])
    config = resolve_paths(check_config(_expand(raw, source), source), folder)
    root, field = config.local_root, "local_folder" if is_bucket(config.store) else "store"
    what = field.replace("_", " ")
    if blocked := next((path for path in (root, *root.parents) if os.path.lexists(path) and not path.is_dir()), None):
        raise source.error([((field,), f"{field}: {blocked} is no folder, and the {what} is one: choose another path")])
    return config


def _is_free(at: Location) -> bool:
    """Whether a value is in a section of any fields and types, such as `extra_body`."""
    return any(part in FREE for part in at[:-1])


def load_config(path: str | os.PathLike[str], folder: Path | None = None) -> DistillConfig:
    """Read and check a `distill.yaml`. Relative paths start from its folder, or from `folder` if given.

    Raises:
        ConfigError: the file does not exist, is not a YAML mapping, or has wrong fields, which are all listed.
    """
    path = Path(path).expanduser().resolve()
    written = _read(path)
    if not isinstance(written.value, dict):
        raise ConfigError(
            f"{path}: the file holds {_kind(written.value)}, not a mapping of fields: see docs/config.md and examples/"
        )
    source = Source(str(path), written.value, written.places)
    return config_of(written.value, folder.resolve() if folder else path.parent, source)


def _read(path: Path) -> Written:
    """The values and places of a YAML file; ConfigError if it cannot be read as one."""
    if path.is_dir():
        raise ConfigError(f"{path}: this is a folder, and --config names a file, such as {path / CONFIG_NAME}")
    try:
        return read_yaml(path.read_text(encoding="utf-8-sig"))
    except OSError as e:
        raise ConfigError(
            f"{path}: cannot be read ({e.strerror}); `distill-dagster init` writes a config to start from"
        ) from e
    except UnicodeDecodeError as e:
        raise ConfigError(f"{path}: not valid YAML: it is no UTF-8 text (byte {e.start}): save it as UTF-8") from e
    except YamlError as e:
        raise ConfigError(f"{path}:{e.line}: {e}" if e.line else f"{path}: {e}") from e
