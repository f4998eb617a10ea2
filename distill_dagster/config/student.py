"""`student:` - the small model, what it learns to write, and how it is trained."""

from pydantic import Field, model_validator

from distill_dagster.config.models import ModelConfig
from distill_dagster.config.section import Learn, Section
from distill_dagster.config.signals import StudentTrainingConfig
from distill_dagster.config.student_init import StudentInitConfig
from distill_dagster.config.sweep import SweepConfig


class StudentConfig(Section):
    """The small model that goes to production, and how it is trained."""

    model: ModelConfig | None = Field(
        default=None, description="The student: an existing model or a new one. Give this or `init`."
    )
    init: StudentInitConfig | None = Field(
        default=None, description="A student that is cut out of the teacher, in place of `model`."
    )
    learn: Learn = Field(
        default="answer",
        description="What the student learns to write: the teacher's `answer`, or `reasoning_and_answer`, which is the "
        "chain of thought followed by the answer.",
    )
    training: StudentTrainingConfig = Field(
        default_factory=StudentTrainingConfig, description="How the student is trained."
    )
    sweep: SweepConfig | None = Field(
        default=None,
        description="A search for the best settings of `training`, by validation loss. If left out, there is none.",
    )

    @property
    def trainings(self) -> list[StudentTrainingConfig]:
        """The training, or with `sweep` those at the corners of its space."""
        return self.sweep.corners(self.training) if self.sweep else [self.training]

    @model_validator(mode="after")
    def _space_fits(self) -> "StudentConfig":
        _ = self.trainings
        return self

    @model_validator(mode="after")
    def _model_or_init(self) -> "StudentConfig":
        if (self.model is None) == (self.init is None):
            raise ValueError(
                "give exactly one of `model` (an existing or a new one) and `init` (cut out of the teacher)"
            )
        return self
