"""The JSON Schema of the component's attributes: the fields of `distill.yaml`, or `config_file` and nothing else.

    type: distill_dagster.DistillationComponent          type: distill_dagster.DistillationComponent
    attributes:                                           attributes:
      task: nli                                             config_file: distill.yaml
      data: {train: data/train/*.jsonl, …}

It accepts a template such as `{{ env.TASK }}` in place of any number, text or section. `dg check yaml` reports a
mistake inside a section at the line of the wrong field. `if` and `then` check sections for this reason: a failed
`anyOf` would be reported at the line of the whole section.
"""

from typing import Any

from distill_dagster.config.schema import FileSchema, schema_by

CONFIG_FILE = "config_file"
TEXT = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}|\{\{|\{%"}
FILE_FIELD = {
    "type": "string",
    "description": "Path of a `distill.yaml`, relative to the component's folder. If given, no other attribute may be.",
}
SECTION = {"type": "object"}
Schema = dict[str, Any]


class _ComponentSchema(FileSchema):
    """The schema with `${NAME}` or a template in place of every value that no text could be."""

    replacement = TEXT


def component_schema() -> Schema:
    """The schema of the attributes, as a JSON document of its own."""
    schema = schema_by(_ComponentSchema)
    sections, required = schema.pop("$defs"), schema.pop("required")
    attributes = _with_templates(schema)
    for name in required:
        attributes["properties"][name]["description"] += f" Required unless `{CONFIG_FILE}` is given."
    return {
        **attributes,
        "properties": {CONFIG_FILE: FILE_FIELD, **attributes["properties"]},
        "if": {"required": [CONFIG_FILE]},
        "then": {"properties": {CONFIG_FILE: {}}, "additionalProperties": False},
        "else": {"required": required},
        "$defs": {name: _with_templates(section) for name, section in sections.items()},
    }


def inlined_schema() -> Schema:
    """The same without `$defs`, to become a part of another schema. It states each section once, without `then`."""
    schema = component_schema()
    return _inlined(schema, schema.pop("$defs"))


def _with_templates(section: Schema) -> Schema:
    """A section whose own sections may be templates."""
    fields = {name: _or_template(field) for name, field in section["properties"].items()}
    return {**section, "properties": fields}


def _or_template(field: Schema) -> Schema:
    branches = [{"$ref": field["$ref"]}] if "$ref" in field else field.get("anyOf", [])
    section = next((branch for branch in branches if "$ref" in branch), None)
    if section is None:
        return field
    own = {key: value for key, value in field.items() if key not in ("$ref", "anyOf")}
    return {**own, "anyOf": [*branches, SECTION, TEXT], "if": SECTION, "then": section}


def _inlined(node: Any, sections: Schema) -> Any:
    if isinstance(node, list):
        return [_inlined(item, sections) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(sections[node["$ref"].rpartition("/")[2]], sections)
    if node.get("if") == SECTION:
        node = {key: value for key, value in node.items() if key not in ("if", "then")}
        node["anyOf"] = [branch for branch in node["anyOf"] if branch != SECTION]
    return {key: _inlined(value, sections) for key, value in node.items()}
