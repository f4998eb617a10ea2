"""`student.init:` - a student that is cut out of the teacher.

init: {from: teacher, layers: 6}                                            evenly spaced layers
init: {from: teacher, layers: 6, choose: block_influence, feed_forward: 1024}
"""

from typing import Literal

from pydantic import ConfigDict, Field

from distill_dagster.config.section import Section


class StudentInitConfig(Section):
    """A student of some of the teacher's layers, the first and the last among them, with its tokenizer."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    source: Literal["teacher"] = Field(
        default="teacher", alias="from", description="The model that the student is cut out of."
    )
    layers: int = Field(ge=2, le=1000, description="Layers of the student.")
    choose: Literal["spaced", "block_influence"] = Field(
        default="spaced",
        description="Which of the teacher's layers between the first and the last: evenly `spaced` ones, or those of "
        "the highest `block_influence`, 1 - cosine of what goes in and what comes out, over training prompts.",
    )
    feed_forward: int | None = Field(
        default=None,
        ge=1,
        description="Width of the student's feed-forward layers, of the neurons that are most active over training "
        "prompts. If left out, the teacher's.",
    )
    prompts: int = Field(
        default=256, ge=1, le=100_000, description="Training prompts over which influence and activity are measured."
    )

    @property
    def measures(self) -> bool:
        """Whether the teacher has to read prompts."""
        return self.choose == "block_influence" or self.feed_forward is not None

    @property
    def shaping(self) -> dict[str, int | str | None]:
        """What decides the weights."""
        measured = {"prompts": self.prompts} if self.measures else {}
        return {**self.model_dump(by_alias=True, exclude={"prompts"}), **measured}
