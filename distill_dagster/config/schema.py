"""The JSON Schema of `distill.yaml` (draft 2020-12): editors complete fields, show their meaning, and mark typos.

    # yaml-language-server: $schema=distill.schema.json

It accepts what the reader accepts: a single path in place of a list, a bare `off` as a severity (YAML reads it as
false), and `${NAME}` in place of any value, since variables are expanded before the values are checked. It leaves out
the rules that span several fields, such as "exactly one of `model`, `endpoint` and `mix`".
"""

import json
import re
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from distill_dagster.config.project import DistillConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "distill.yaml"
SCHEMA_NAME = "distill.schema.json"
VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
LINE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")  # inside a paragraph


class _PlainSchema(GenerateJsonSchema):
    """Pydantic's schema, without the titles that it derives from the names of the fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class FileSchema(_PlainSchema):
    """The same with `${NAME}` in place of every value that no text could be."""

    replacement: JsonSchemaValue = VARIABLE

    def _or_text(self, schema: JsonSchemaValue) -> JsonSchemaValue:
        return {"anyOf": [schema, self.replacement]}

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return self._or_text(super().int_schema(schema))

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return self._or_text(super().float_schema(schema))

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return self._or_text(super().bool_schema(schema))

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        return self._or_text(super().literal_schema(schema))

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        plain = super().str_schema(schema)
        return self._or_text(plain) if len(plain) > 1 else plain


def plain_schema() -> dict[str, Any]:
    """The schema of the values after variables are expanded, for the reference."""
    return schema_by(_PlainSchema)


def schema_by(generator: type[GenerateJsonSchema]) -> dict[str, Any]:
    """The schema of the config that a generator writes, with each description's lines joined."""
    return _tidy(DistillConfig.model_json_schema(mode="validation", schema_generator=generator))


def config_schema() -> dict[str, Any]:
    """The schema of the file, as a JSON document."""
    schema = schema_by(FileSchema)
    definitions = {**schema.pop("$defs"), "variable": {**VARIABLE, "description": "An environment variable's value."}}
    return {"$schema": DIALECT, **schema, "title": TITLE, "$defs": definitions}


def schema_text() -> str:
    """The schema as the text of `distill.schema.json`."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _tidy(node: Any) -> Any:
    """The same schema with each description's lines joined, and every `${NAME}` as a reference to one definition."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node == VARIABLE:
        return {"$ref": "#/$defs/variable"}
    tidy = {name: _tidy(value) for name, value in node.items()}
    if isinstance(text := tidy.get("description"), str):
        tidy["description"] = LINE_BREAK.sub(" ", text)
    return tidy
