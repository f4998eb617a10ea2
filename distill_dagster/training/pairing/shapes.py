"""Layers that are named and not there, those that cannot be read or cut, and rows that the teacher cannot read."""

from collections.abc import Iterator
from typing import Any

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.models.building import parameter_count
from distill_dagster.models.fitness import problems
from distill_dagster.models.outline import config_of, without_weights
from distill_dagster.models.row_limits import longest_row
from distill_dagster.training.cutting import cut_config, require_cuttable
from distill_dagster.training.layer_pairs import require_readable, with_pairs
from distill_dagster.training.pairing.values import Pairing


def cut_parameters(pairing: Pairing) -> int:
    """The number of parameters of a student that is cut out of the teacher; 0 for any other.

    Raises:
        ModelError: the teacher's config cannot be read.
    """
    if pairing.init is None:
        return 0
    return parameter_count(without_weights(student_config(pairing)))


def shape_problems(pairing: Pairing) -> Iterator[str]:
    """Why the student cannot be cut out of the teacher, or cannot imitate its layers.

    Raises:
        ModelError: the first problem of a layer, or a model that cannot be read.
    """
    training = pairing.training
    if not training.reads_teacher and pairing.init is None:
        return
    teacher = config_of(_given(pairing.teacher))
    if pairing.init:
        yield from problems(_given(pairing.teacher), pairing.use)
        require_cuttable(pairing.init, without_weights(teacher))
    if not training.reads_teacher:
        return
    student = student_config(pairing)
    for imitation in pairing.imitations:
        pairs = with_pairs(imitation, student, teacher)
        require_readable(pairs, without_weights(student), without_weights(teacher))
    yield from _length_problems(training, teacher)


def student_config(pairing: Pairing) -> Any:
    """The student's transformers config; ModelError if it, or that of the teacher, cannot be read."""
    if pairing.init:
        return cut_config(pairing.init, config_of(_given(pairing.teacher)))
    return config_of(_given(pairing.student))


def _given(model: ModelConfig | None) -> ModelConfig:
    assert model is not None, "the config gives a teacher with open weights, and `student.model` or `student.init`"
    return model


def _length_problems(training: StudentTrainingConfig, teacher: Any) -> Iterator[str]:
    longest = longest_row(teacher)
    if longest is not None and longest < training.max_length:
        yield (
            f"`student.training.max_length` is {training.max_length:,}, and the teacher, which reads the same rows, "
            f"has positions for {longest:,} tokens: set `max_length: {longest}` or less, or use a teacher with a "
            "longer context"
        )
