"""`data:` - where the rows are, and in which form."""

from typing import Any, Literal

from pydantic import Field, field_validator

from distill_dagster.config.section import Section

FormatName = Literal[
    "auto", "chat", "bedrock-conversation-2024", "prompt_completion", "sharegpt", "alpaca", "input_output"
]


class DataConfig(Section):
    """Where the rows are. One file is one shard; local paths or fsspec URLs, with * patterns.

    Files end in .jsonl, .jsonl.gz, .jsonl.zst, .json or .parquet; a folder that `datasets.save_to_disk` wrote is one.
    """

    train: list[str] = Field(min_length=1, description="training files; each becomes a shard")
    validation: list[str] = Field([], description="validation files; each becomes a shard")
    test: list[str] = Field(min_length=1, description="held-out files, never seen by teacher fit or student")
    format: FormatName = Field("auto", description="the rows' format; auto looks at the first rows of each file")
    validation_share: float = Field(
        0.05, ge=0, lt=0.5, description="share of training groups held out, where no validation files are given"
    )
    require_system: bool = Field(False, description="refuse rows without a system message (E003)")
    max_row_bytes: int = Field(1_000_000, ge=1_000, description="longest row that is read (E001)")

    @field_validator("train", "validation", "test", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value
