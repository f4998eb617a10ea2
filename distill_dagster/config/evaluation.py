"""`evaluation:` - how the models are compared on the held-out rows."""

import re

from pydantic import Field, field_validator

from distill_dagster.config.judge import JudgeConfig
from distill_dagster.config.section import Section
from distill_dagster.config.speed import SpeedConfig

IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class EvaluationConfig(Section):
    """How teacher, baseline and student are compared on the held-out rows."""

    max_new_tokens: int | None = Field(
        default=None, ge=1, description="Longest answer in tokens. If left out, as in `teacher.generation`."
    )
    batch_tokens: int = Field(
        default=16_384, ge=64, description="Tokens held at once, padded prompts and new tokens together."
    )
    latency_requests: int = Field(
        default=32, ge=2, le=10_000, description="Most prompts on which the models are timed in each round."
    )
    resamples: int = Field(default=10_000, ge=100, le=1_000_000, description="Bootstrap resamples.")
    seed: int = Field(default=0, ge=0, description="Seed of the bootstrap and of the choice of timed requests.")
    retention_target: float = Field(
        default=0.92,
        gt=0,
        le=1.5,
        description="Least share of the teacher's score. PASS needs the student's whole 95 % interval above it.",
    )
    metrics: list[str] = Field(
        default=[],
        description="Metrics of your own beside those of the task, each the `package.module:Name` of an "
        "`evaluate.Metric`, see docs/scores.md.",
    )
    gold_student: bool = Field(
        default=False,
        exclude_if=lambda wanted: not wanted,
        description="Also train the same student on the gold answers alone, and compare the two: did the teacher add "
        "anything? See docs/scores.md.",
    )
    judge: JudgeConfig | None = Field(
        default=None,
        exclude_if=lambda judge: judge is None,
        description="A model that compares the student's answers with the teacher's.",
    )
    speed: SpeedConfig = Field(default_factory=SpeedConfig, description="How the models are timed against one another.")

    @field_validator("metrics")
    @classmethod
    def _are_import_paths(cls, value: list[str]) -> list[str]:
        for name in value:
            if not IMPORT_PATH.fullmatch(name):
                raise ValueError(f"{name!r} is no import path: write `package.module:Name`")
        if twice := sorted({name for name in value if value.count(name) > 1}):
            raise ValueError(f"{twice[0]} is there {value.count(twice[0])} times: name it once")
        return value
