"""`evaluation.speed:` - how the models are timed against one another."""

from pydantic import Field, field_validator, model_validator

from distill_dagster.config.section import Section

MOST_CONCURRENCY = 256


class SpeedConfig(Section):
    """How teacher, baseline and student are timed: in turns, in rounds, at one time.

    `evaluation.latency_requests` is the most prompts of a round.
    """

    rounds: int = Field(
        default=5,
        ge=3,
        le=100,
        description="Fewest rounds in which the machine did no other work. A ratio of fewer is withheld.",
    )
    seconds: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="Time for all rounds together. Slow models get fewer prompts in a round, but 4 at least; a round "
        "that other work disturbed is repeated while the time lasts.",
    )
    concurrency: list[int] = Field(
        default=[1, 8, 32],
        min_length=1,
        max_length=8,
        description=f"Requests in flight, at most {MOST_CONCURRENCY}; 1 must be among them, for the latency. A model "
        "behind an endpoint is timed with 1.",
    )
    endpoint_requests: int = Field(
        default=20,
        ge=0,
        le=10_000,
        description="Held-out prompts that a teacher behind an endpoint is asked one after another, before the others, "
        "so that their answers can be timed; never in a batch. 0 leaves it untimed.",
    )
    usd_per_hour: float | None = Field(
        default=None,
        gt=0,
        description="What this machine costs in US dollars an hour, for the cost of 1,000 answers. Without it, their "
        "cost is the machine's time.",
    )

    @field_validator("concurrency")
    @classmethod
    def _ascends_from_1(cls, value: list[int]) -> list[int]:
        if wrong := [level for level in value if not 1 <= level <= MOST_CONCURRENCY]:
            raise ValueError(f"`concurrency` has {wrong[0]}: give numbers from 1 to {MOST_CONCURRENCY}")
        if 1 not in value or len(set(value)) < len(value):
            raise ValueError(f"`concurrency: {value}` needs 1, and each number once: write [1, 8, 32]")
        return sorted(value)

    @model_validator(mode="after")
    def _a_request_for_each_round(self) -> "SpeedConfig":
        if 0 < self.endpoint_requests < self.rounds:
            raise ValueError(
                f"`endpoint_requests: {self.endpoint_requests}` are fewer than `rounds: {self.rounds}`: give one for "
                "each round, or 0 for none"
            )
        return self
