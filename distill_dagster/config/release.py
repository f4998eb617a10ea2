"""`release:` - when a new student replaces the released one, its name, and what its licences demand."""

from typing import Literal

from pydantic import Field

from distill_dagster.config.publish import PublishConfig
from distill_dagster.config.section import Section


class HubBenchmarkConfig(Section):
    """A benchmark of the Hugging Face hub: a dataset that has a leaderboard."""

    dataset: str = Field(
        pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", description="The dataset's name on the hub, such as cais/hle."
    )
    task_id: str = Field(min_length=1, description="The task in the dataset's eval.yaml, such as gpqa_diamond.")
    revision: str | None = Field(default=None, description="The dataset's commit that the test rows come from.")


class ReleaseConfig(Section):
    """When a new student replaces the released one (docs/release.md), its name and its licences (docs/licences.md).

    Without this section nothing is released.
    """

    margin: float = Field(
        default=0.01,
        ge=0,
        le=0.2,
        description="Largest loss of score, from 0 to 1, that a replacement may bring. The lower end of the 95 % "
        "interval of the difference to the released student must be above it, and to the first release too.",
    )
    must_gain: bool = Field(
        default=True,
        description="The measured gain of a replacement must be at least as large as the loss that the 95 % interval "
        "still allows. `false`: equally good students are released too, and with many test rows slightly worse ones.",
    )
    approve: Literal["auto", "manual"] = Field(
        default="auto",
        description="`auto` releases a student that passes. With `manual` it waits for `distill-dagster approve`.",
    )
    keep: int = Field(
        default=3,
        ge=2,
        le=20,
        description="Released students whose models are kept for `distill-dagster rollback`, the present one included. "
        "The first one is kept in any case.",
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$",
        description="The released model's name. If left out, the project's name, behind the prefix that a licence "
        "demands, such as `Llama-`.",
    )
    i_have_checked_the_licence: bool = Field(
        default=False,
        description="You have read the terms of the models whose licence is not listed, or is conditional, and they "
        "allow this use. Without it such a student is not released. A disallowed use is never released.",
    )
    benchmark: HubBenchmarkConfig | None = Field(
        default=None,
        description="The test rows are those of this benchmark: the score is also written for its leaderboard "
        "(`.eval_results`).",
    )
    publish: PublishConfig | None = Field(
        default=None,
        description="The places outside the store where the released student is published. If left out, it stays in "
        "the store.",
    )
