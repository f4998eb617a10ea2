"""`student.training.on_policy`: rounds in which the student learns from the teacher on its own samples."""

from typing import Any, Literal

from pydantic import Field

from distill_dagster.config.divergences import PARAMETERS, unused_at_default
from distill_dagster.config.section import DivergenceName, Section

MOST_ROUNDS = 8
BY_STUDENT: tuple[DivergenceName, ...] = ("reverse_kl", "jsd")  # weigh tokens by the student's probabilities


class RepetitionConfig(Section):
    """When a rollout counts as a loop and stops: its last tokens are one n-gram, several times in a row."""

    ngram: int = Field(default=32, ge=1, le=1024, description="Longest n-gram that is looked for, in tokens.")
    times: int = Field(default=8, ge=2, le=1024, description="How many times in a row it has to come.")


class OnPolicyConfig(Section):
    """Rounds of: sample the student, let the teacher read the samples, train on its distributions over them."""

    rounds: int = Field(default=2, ge=1, le=MOST_ROUNDS, description="Rounds after the cold start.")
    start: Literal["text", "logits"] = Field(
        default="text",
        description="Signal of the cold start, and of the teacher's text in every round; `logits` needs "
        "`teacher.logits`.",
    )
    share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of rollouts among a round's rows; the others are the teacher's text.",
    )
    prompts: int | None = Field(
        default=None, ge=1, description="Training prompts to sample in a round, drawn again for each. `null`: all."
    )
    max_new_tokens: int | None = Field(
        default=None,
        ge=1,
        le=131_072,
        description="Longest rollout in tokens. If left out, as in `teacher.generation`.",
    )
    temperature: float = Field(default=1.0, gt=0, le=2, description="Temperature at which the student is sampled.")
    repetition: RepetitionConfig = Field(
        default_factory=RepetitionConfig, description="When a rollout counts as a loop and stops."
    )
    divergence: DivergenceName = Field(
        default="forward_kl",
        description="Divergence on the rollouts, at T = 1. For `reverse_kl` and `jsd` the student's own likeliest "
        "tokens are stored too.",
    )
    skew: float = Field(default=0.1, gt=0, lt=1, description="The teacher's share of the mixture in `skew_kl`.")
    beta: float = Field(default=0.5, gt=0, lt=1, description="The teacher's share of the mixture in `jsd`.")
    batch_tokens: int = Field(
        default=16_384, ge=64, description="Tokens held at once while sampling, prompts and new tokens together."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the choice of prompts and of sampling.")

    @property
    def sampled(self) -> dict[str, Any]:
        """What shapes the rollouts, but for `max_new_tokens`."""
        return self.model_dump(include={"prompts", "temperature", "repetition", "seed"})

    @property
    def learned(self) -> dict[str, Any]:
        """What shapes the training on them."""
        shaped = self.model_dump(include={"share", "divergence", *PARAMETERS.values()})
        return shaped | unused_at_default(self, self.divergence)

    @property
    def keeps_students_tokens(self) -> bool:
        """Whether the student's likeliest tokens are stored beside the teacher's."""
        return self.divergence in BY_STUDENT
