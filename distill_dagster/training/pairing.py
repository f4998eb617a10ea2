"""Whether a student can learn from its teacher as the config asks, before the teacher is paid.

    pairing_problems(Pairing(teacher=…, student=…, training=…))
    ["student.training.signal: hidden needs … the teacher's tokenizer, and …"]

The signal `text` needs nothing of the kind. No weights are loaded: configs and tokenizers say enough.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from distill_dagster.config import DistillConfig, ModelConfig, Section, StudentInitConfig, StudentTrainingConfig
from distill_dagster.errors import ModelError
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.building import parameter_count
from distill_dagster.models.fitness import Use, problems
from distill_dagster.models.outline import config_of, tokenizer_of, without_weights
from distill_dagster.models.row_limits import longest_row
from distill_dagster.training.cutting import cut_config, require_cuttable
from distill_dagster.training.layer_pairs import require_readable, with_pairs


class Pairing(Section):
    """A teacher of open weights, the student that learns from it, and how."""

    teacher: ModelConfig
    student: ModelConfig | None = None  # None: `init`
    init: StudentInitConfig | None = None
    training: StudentTrainingConfig
    prompt_date: date | None = None


def pairing_of(config: DistillConfig) -> Pairing | None:
    """The pairing of a project; None if the teacher's weights are not here, or nothing of it is needed."""
    teacher, student = config.teacher.model, config.student
    if teacher is None or (student.training.signal == "text" and student.init is None):
        return None
    given = {"student": student.model, "init": student.init, "training": student.training}
    return Pairing(teacher=teacher, **given, prompt_date=config.prompt_date)


def pairing_problems(pairing: Pairing) -> list[str]:
    """Why the student cannot learn so, each with the way out."""
    try:
        return [*_tokenizer_problems(pairing), *_shape_problems(pairing)]
    except ModelError as e:
        return [str(e)]


def require_pairing(pairing: Pairing) -> None:
    """Raise ModelError with all problems."""
    if found := pairing_problems(pairing):
        raise ModelError("; ".join(found))


def cut_parameters(pairing: Pairing) -> int:
    """The number of parameters of a student that is cut out of the teacher; 0 for any other.

    Raises:
        ModelError: the teacher's config cannot be read.
    """
    if pairing.init is None:
        return 0
    return parameter_count(without_weights(cut_config(pairing.init, config_of(pairing.teacher))))


def _tokenizer_problems(pairing: Pairing) -> Iterator[str]:
    """Token by token, a student can be compared only with a teacher that has the same tokens."""
    training, student = pairing.training, pairing.student
    if training.signal == "text" or student is None or not (student.name and pairing.teacher.name):
        return
    own, other = (tokenizer_hash(tokenizer_of(model, pairing.prompt_date)) for model in (student, pairing.teacher))
    if own != other:
        yield (
            f"`student.training.signal: {training.signal}` needs a student with the teacher's tokenizer, and that of "
            f"{student.name} ({own[:12]}) is not that of {pairing.teacher.name} ({other[:12]}): use a student of the "
            "teacher's family, or `signal: text`"
        )


def _shape_problems(pairing: Pairing) -> Iterator[str]:
    """Layers that are named and not there, and those that cannot be read."""
    training = pairing.training
    if not training.reads_teacher and pairing.init is None:
        return
    teacher = config_of(pairing.teacher)
    if pairing.init:
        yield from problems(pairing.teacher, Use(trains=True, max_length=training.max_length))
        require_cuttable(pairing.init, without_weights(teacher))
    if not training.reads_teacher:
        return
    student = cut_config(pairing.init, teacher) if pairing.init else config_of(_model(pairing))
    pairs = with_pairs(training.imitation, student, teacher)
    require_readable(pairs, without_weights(student), without_weights(teacher))
    yield from _length_problems(training, teacher)


def _model(pairing: Pairing) -> ModelConfig:
    assert pairing.student is not None, "the config gives `student.model` or `student.init`"
    return pairing.student


def _length_problems(training: StudentTrainingConfig, teacher: Any) -> Iterator[str]:
    longest = longest_row(teacher)
    if longest is not None and longest < training.max_length:
        yield (
            f"`student.training.max_length` is {training.max_length:,}, and the teacher, which reads the same rows, "
            f"has positions for {longest:,} tokens: set `max_length: {longest}` or less, or use a teacher with a "
            "longer context"
        )
