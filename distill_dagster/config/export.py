"""`export:` - the formats in which the student is also published, for other runtimes than transformers."""

from typing import Literal, get_args

from pydantic import Field, field_validator

from distill_dagster.config.section import Section

ExportFormat = Literal["gguf_f32", "gguf_f16", "gguf_q8_0", "gguf_q4_0", "onnx_fp32", "onnx_int8", "onnx_int4"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


class ExportConfig(Section):
    """The formats in which the student is also published, see docs/export.md. Each one is an asset of its own."""

    formats: list[ExportFormat] = Field(
        default=[],
        description="`gguf_…` for llama.cpp and Ollama, `onnx_…` for onnxruntime-genai. `gguf_q8_0` and `onnx_int8` "
        "are the usual ones: small, and their answers are nearly those of the checkpoint. The first "
        "one is the engine that the report holds against the lesson's targets.",
    )
    max_length: int = Field(
        default=2048,
        ge=16,
        description="Tokens of a prompt and its answer that an exported student makes room for, at most its context.",
    )

    @property
    def shipped(self) -> ExportFormat | None:
        """The format that the report takes for the one in use: the first."""
        return self.formats[0] if self.formats else None

    @field_validator("formats")
    @classmethod
    def _each_once(cls, value: list[ExportFormat]) -> list[ExportFormat]:
        twice = sorted({name for name in value if value.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} comes twice: name each format once")
        return value
