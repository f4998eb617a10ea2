"""A distillation project as a Dagster component, for a Dagster project of your own: see docs/components.md.

    type: distill_dagster.DistillationComponent
    attributes:
      key_prefix: nli
      task: nli
      data: {train: data/train/*.jsonl, test: data/test.jsonl}
      teacher: {model: {name: "{{ env.TEACHER }}"}}
      student: {model: {name: /models/llama-3.2-1b}}

The attributes are those of `distill.yaml`, and the config's model describes them. The schema is not derived from the
component's own fields, as `dagster.Resolvable` does by default: sections of the config have a field called `model`,
which would hide `Resolvable.model`.
"""

import os
import re
from pathlib import Path
from textwrap import indent
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field, GetJsonSchemaHandler, RootModel, field_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from distill_dagster.config import DistillConfig, TaskName
from distill_dagster.config.component_schema import CONFIG_FILE, component_schema, inlined_schema
from distill_dagster.config.explaining import Source
from distill_dagster.config.reading import config_of, load_config
from distill_dagster.config.written import Location, Place, YamlError, read_documents
from distill_dagster.definitions import build_definitions
from distill_dagster.errors import ConfigError
from distill_dagster.store.disk import write_text

TEMPLATE = re.compile(r"\{[{%#]")
NOT_A_NAME = re.compile(r"\W+|^(?=\d)", re.ASCII)
PYTHON = """\
import dagster as dg
from distill_dagster import DistillationComponent
from distill_dagster.config.reading import load_config


@dg.component_instance
def distillation(context: dg.ComponentLoadContext) -> DistillationComponent:
    return DistillationComponent(load_config(context.path.parent / "distill.yaml"))
"""


class DistillationAttributes(RootModel[dict[str, Any]]):
    """The attributes as the YAML file has them; the config's model checks them after their templates are rendered."""

    @classmethod
    def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
        """What `dg check yaml` checks and what the component's documentation shows."""
        return component_schema()

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, __: GetJsonSchemaHandler) -> JsonSchemaValue:
        return inlined_schema()


class DistillationScaffold(BaseModel):
    """The options of `dg scaffold defs distill_dagster.DistillationComponent`."""

    task: TaskName = Field(default="qa", description="The task of the sample rows.")
    key_prefix: str | None = Field(default=None, description="Prefix of the asset keys; the folder's name if left out.")

    @field_validator("task")
    @classmethod
    def _has_sample_rows(cls, value: TaskName) -> TaskName:
        from distill_dagster.cli.scaffold import check_task

        check_task(value)
        return value


class DistillationScaffolder(dg.Scaffolder[DistillationScaffold]):
    """Writes a component that loads at once, and sample rows to replace."""

    @classmethod
    def get_scaffold_params(cls) -> type[DistillationScaffold]:
        """The options of the command."""
        return DistillationScaffold

    def scaffold(self, request: dg.ScaffoldRequest[DistillationScaffold]) -> None:
        """Write defs.yaml (or component.py and distill.yaml) and data/ into the target folder.

        The store is `store/<folder>` in the project's root, outside the Python package.
        """
        from distill_dagster.cli.scaffold import project_name, write_sample

        folder, name = request.target_path, project_name(request.target_path)
        write_sample(folder / "data", request.params.task)
        if request.scaffold_format == "python":
            store = os.path.relpath((request.project_root or folder) / "store" / name, folder)
            write_text(folder / "distill.yaml", _fields(folder, request.params, store))
            write_text(folder / "component.py", PYTHON)
        else:
            fields = _fields(folder, request.params, f'"{{{{ context.project_root }}}}/store/{name}"')
            head = f"type: {request.type_name}\nattributes: # those of distill.yaml; paths start from this folder\n"
            write_text(folder / "defs.yaml", head + indent(fields, "  "))


def _fields(folder: Path, params: DistillationScaffold, store: str) -> str:
    """The fields of a new project, as YAML."""
    from distill_dagster.cli.scaffold import FIELDS, project_name

    prefix = NOT_A_NAME.sub("_", folder.name) if params.key_prefix is None else params.key_prefix
    first = f'key_prefix: "{prefix}" # of asset keys, jobs, sensors and pools; another one for each component\n'
    return first + FIELDS.format(name=project_name(folder), task=params.task, store=store)


@dg.scaffold_with(DistillationScaffolder)
class DistillationComponent(dg.Component, dg.Resolvable):
    """Distils a large language model into a small student: assets, checks, a job, a schedule and sensors.

    The attributes are the fields of `distill.yaml`: `task`, `data`, `teacher` and `student` at least. Or give
    `config_file`, the path of a `distill.yaml`, and nothing else. Relative paths start from the component's folder.
    Several components in one project each need a `key_prefix`.

    Example in Python:

        DistillationComponent(load_config("distill.yaml"))
    """

    def __init__(self, config: DistillConfig) -> None:
        self.config = config

    @classmethod
    def model(cls) -> type[BaseModel]:
        """The model of the attributes, which has the schema of the config."""
        return DistillationAttributes

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "DistillationComponent":
        """The component of a YAML file; without attributes, the error names those that are required."""
        return super().load(attributes or DistillationAttributes({}), context)

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> "DistillationComponent":
        """The component of these attributes, after their templates are rendered.

        Raises:
            ConfigError: attributes are wrong, or stand beside `config_file`; the message lists all of them.
        """
        assert isinstance(model, DistillationAttributes)
        given = _rendered(context, model.root)
        folder = context.resolve_source_relative_path(".").resolve()
        tree = context.source_position_tree
        where = tree.position.filename if tree else "attributes"
        if CONFIG_FILE not in given:
            places = _places(Path(where), tree.position.start.line) if tree else {}
            return cls(config_of(given, folder, Source(where, model.root, places)))
        if others := sorted(given.keys() - {CONFIG_FILE}):
            raise ConfigError(
                f"{where}: `{CONFIG_FILE}: {given[CONFIG_FILE]}` stands beside `{others[0]}`: remove one of them; with "
                f"`{CONFIG_FILE}`, every other attribute belongs in that file"
            )
        return cls(load_config(folder / Path(given[CONFIG_FILE])))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of the project, without an executor: the code location keeps its own."""
        return build_definitions(self.config)


def _places(file: Path, line: int) -> dict[Location, Place]:
    """Where the attributes of the document on a line are written; {} for attributes that come from no file.

    Raises:
        ConfigError: the file repeats a key.
    """
    if not file.is_file():
        return {}
    try:
        documents = read_documents(file.read_text(encoding="utf-8"))
    except YamlError as e:
        raise ConfigError(f"{file}:{e.line}: {e}" if e.line else f"{file}: {e}") from e
    for document in documents:
        lines = [place.line for place in document.places.values()]
        if min(lines) <= line <= max(lines):
            return {at[1:]: place for at, place in document.places.items() if at[:1] == ("attributes",)}
    return {}


def _rendered(context: dg.ResolutionContext, value: Any) -> Any:
    """The value with its templates rendered.

    Text without a template is kept as it is. Dagster's rendering evaluates it, so that the label "1" would be a number.
    """
    if isinstance(value, dict):
        return {key: _rendered(context.at_path(key), inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rendered(context.at_path(n), inner) for n, inner in enumerate(value)]
    return context.resolve_value(value) if isinstance(value, str) and TEMPLATE.search(value) else value
