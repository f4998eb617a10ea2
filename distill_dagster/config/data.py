"""`data:` - the source files, and the format of their rows."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from distill_dagster.config.section import Section

FormatName = Literal[
    "auto",
    "chat",
    "bedrock-conversation-2024",
    "prompt_completion",
    "sharegpt",
    "alpaca",
    "input_output",
    "question_answer",
]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Files = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
OneFileOrMore = Annotated[
    list[str],
    Field(min_length=1),
    BeforeValidator(_as_list, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)]),
]


class DataConfig(Section):
    """The source files. Each file is one shard.

    A file is a local path or an fsspec URL, and may hold `*` patterns; one path needs no list. Files end in .jsonl,
    .jsonl.gz, .jsonl.zst, .json or .parquet. A folder that `datasets.save_to_disk` wrote counts as one file.
    """

    train: OneFileOrMore = Field(description="Training files.")
    validation: Files = Field(
        default=[], description="Validation files. Without any, `validation_share` of the training rows is held out."
    )
    test: OneFileOrMore = Field(description="Held-out files. No model is trained on them.")
    format: FormatName = Field(
        default="auto", description="Format of the rows. `auto` detects it from the first rows of each file."
    )
    meta_keys: list[str] = Field(
        default=[],
        description="Keys of the rows or of their turns that change nothing, though docs/formats.md lists them as keys "
        "that change the question. They are kept in `meta`.",
    )
    validation_share: float = Field(
        default=0.05, ge=0, lt=0.5, description="Share of the training groups held out if `validation` is empty."
    )
    require_system: bool = Field(default=False, description="Reject rows without a system message (E003).")
    max_row_bytes: int = Field(default=1_000_000, ge=1_000, description="Longest row in bytes; longer ones are E001.")
