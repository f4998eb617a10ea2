"""A teacher with its student: what the config says of them, and both without their weights."""

from dataclasses import dataclass

from distill_dagster.config import (
    DistillConfig,
    HiddenSignalConfig,
    ModelConfig,
    Section,
    StudentConfig,
    StudentInitConfig,
    StudentTrainingConfig,
)
from distill_dagster.config.hidden import Pair
from distill_dagster.models.fitness import Parts, Use, parts_of, student_use


class Pairing(Section):
    """A teacher, the student that learns from it, and how."""

    teacher: ModelConfig | None = None  # None: an endpoint, or several models
    student: ModelConfig | None = None  # None: `init`
    init: StudentInitConfig | None = None
    use: Use = Use(trains=True)  # of the student
    training: StudentTrainingConfig = StudentTrainingConfig()
    layers: list[list[Pair]] = []  # the layer pairs among which a sweep chooses
    k: int = 0  # tokens that are stored of each distribution of the teacher; 0: none is
    new_tokens: int | None = None  # the longest answer that the teacher is asked for

    @property
    def imitations(self) -> list[HiddenSignalConfig]:
        """The objective of the signal `hidden`, or with a sweep over layer pairs each of them."""
        own = self.training.imitation
        return [own.model_copy(update={"layers": pairs}) for pairs in self.layers] or [own]

    @classmethod
    def of(cls, config: DistillConfig) -> "Pairing":
        """That of a project."""
        teacher, student = config.teacher, config.student
        return cls(
            teacher=teacher.model,
            student=student.model,
            init=student.init,
            use=student_use(config),
            training=student.training,
            layers=_searched(student),
            k=teacher.logits.k if teacher.logits else 0,
            new_tokens=teacher.generation.max_new_tokens,
        )


def _searched(student: StudentConfig) -> list[list[Pair]]:
    hidden = student.sweep.space.hidden if student.sweep else None
    return hidden.layers or [] if hidden else []


@dataclass(frozen=True, slots=True)
class Sides:
    """Teacher and student without their weights; None for one that is still to be made, or is behind an endpoint."""

    teacher: Parts | None
    student: Parts | None

    @classmethod
    def of(cls, pairing: Pairing, made: Parts | None = None) -> "Sides":
        """Those of a pairing. `made` is the teacher, if it was made since.

        Raises:
            ModelError: one of them is not there, or cannot be read.
        """
        day = pairing.use.prompt_date
        teacher = made or (parts_of(pairing.teacher, day) if pairing.teacher else None)
        if pairing.init is not None:  # the student is made of the teacher's parts
            return cls(teacher, teacher)
        return cls(teacher, parts_of(pairing.student, day) if pairing.student else None)
