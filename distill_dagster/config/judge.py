"""`evaluation.judge`: another model that compares the student's answers with the teacher's."""

from pydantic import Field

from distill_dagster.config.section import Section
from distill_dagster.config.teacher import EndpointConfig


class JudgeConfig(Section):
    """A model that says of two answers which is better, without knowing who wrote them (docs/scores.md).

    It is asked about each prompt twice, once in each order. Its replies are stored and counted against
    `teacher.budget_usd`, as all that is paid for.
    """

    endpoint: EndpointConfig = Field(description="The judge; it should be neither the teacher nor the student.")
    prompts: int = Field(
        default=200,
        ge=20,
        le=100_000,
        description="Held-out prompts whose answers are compared at most, drawn by `evaluation.seed`.",
    )
