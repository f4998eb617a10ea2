"""Write docs/config.md, the reference of every field of `distill.yaml`, from the model that reads the file.

    python -m distill_dagster.config.reference > docs/config.md

Each section of the file becomes one table. A section that several places share, such as `model`, is listed once, with
all its places.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from distill_dagster.config.schema import plain_schema

TYPES = {"string": "text", "integer": "integer", "number": "number", "boolean": "`true` or `false`", "null": "`null`"}
BOUNDS = {"minimum": "≥ {:,}", "exclusiveMinimum": "> {:,}", "maximum": "≤ {:,}", "exclusiveMaximum": "< {:,}"}
LENGTHS = {"minItems": "at least {} item", "minLength": "at least {} character"}
INTRODUCTION = """\
# Config reference

<!-- Written by `python -m distill_dagster.config.reference > docs/config.md` from distill_dagster/config/. -->

Every field of `distill.yaml`. Unknown fields are errors. `distill-dagster schema` writes the same facts as a JSON
Schema, with which editors complete fields and mark typos; `distill-dagster init` writes it beside `distill.yaml`.
"""


@dataclass(slots=True)
class _Table:
    """One section of the file: the schema of its fields, and the paths at which it stands."""

    schema: dict[str, Any]
    paths: list[str] = field(default_factory=list)


def reference() -> str:
    """The whole reference, as Markdown."""
    schema = plain_schema()
    tables = {"": _Table(schema, [""])}
    _collect(schema, "", schema["$defs"], tables)
    return "\n".join([INTRODUCTION, *(_section(table) for table in tables.values())])


def _collect(section: dict[str, Any], path: str, definitions: dict[str, Any], tables: dict[str, _Table]) -> None:
    """Add the sections below `path` to the tables, each where the file first has it."""
    for name, schema in section["properties"].items():
        if found := _section_in(schema):
            definition, is_list = found
            schema.setdefault("description", definitions[definition]["description"])  # pydantic omits an equal one
            place = f"{path}{name}{'[]' if is_list else ''}"
            tables.setdefault(definition, _Table(definitions[definition])).paths.append(place)
            _collect(definitions[definition], f"{place}.", definitions, tables)


def _section_in(schema: dict[str, Any]) -> tuple[str, bool] | None:
    """The section that a field holds, and whether it holds a list of them; None for any other field."""
    for branch in schema.get("anyOf", [schema]):
        reference = branch.get("$ref") or branch.get("items", {}).get("$ref")
        if reference:
            return reference.rpartition("/")[2], "items" in branch
    return None


def _section(table: _Table) -> str:
    """Heading, explanation and table of one section."""
    first, *others = table.paths
    also = f"\nThe same fields exist at {_listed(others)}.\n" if others else ""
    prefix = f"{first}." if first else ""
    required = table.schema.get("required", [])
    rows = [
        f"| `{prefix}{name}` | {' | '.join(_cells(schema, name in required))} |"
        for name, schema in table.schema["properties"].items()
    ]
    head = ["| field | type | default | bounds | meaning |", "| --- | --- | --- | --- | --- |"]
    title = f"## `{first}`" if first else "## The file"
    return "\n".join([title, "", table.schema["description"], also, *head, *rows, ""])


def _cells(schema: dict[str, Any], required: bool) -> Iterator[str]:
    """Type, default, bounds and meaning of a field."""
    section = _section_in(schema)
    yield _type(schema)
    yield "required" if required else _default(schema) if "default" in schema else "its fields' defaults"
    yield "" if section else ", ".join(_bounds(schema)).replace("|", "\\|")
    yield schema["description"].replace("\n", " ").replace("|", "\\|")


def _default(schema: dict[str, Any]) -> str:
    value = schema["default"]
    return f"`{value:g}`" if isinstance(value, float) else f"`{json.dumps(value, ensure_ascii=False, allow_nan=False)}`"


def _type(schema: dict[str, Any]) -> str:
    if either := schema.get("anyOf") or schema.get("oneOf"):
        branches = [branch for branch in either if branch.get("const") is not False]  # a bare `off`
        return " or ".join(dict.fromkeys(_type(branch) for branch in branches))
    if "$ref" in schema:
        return "section"
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return _listed(values, "or")
    if schema.get("type") == "array":
        return f"list of {_type(schema['items']).replace('section', 'sections')}"
    return TYPES.get(schema.get("type", ""), "mapping")


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    for branch in (schema, *schema.get("anyOf", [])):
        yield from (words.format(branch[key]) for key, words in (BOUNDS | LENGTHS).items() if key in branch)
        if "pattern" in branch:
            yield f"`{branch['pattern']}`"


def _listed(values: list[str], last: str = "and") -> str:
    """`a`, `b` and `c`."""
    *first, end = (f"`{value}`" for value in values)
    return f"{', '.join(first)} {last} {end}" if first else end


if __name__ == "__main__":
    print(reference(), end="")
