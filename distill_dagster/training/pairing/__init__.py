"""The gate before a teacher is paid: whether this student can learn from it as the config asks.

    pairing_problems(Pairing(teacher=…, student=…, training=…))
    ["`student.training.signal: hidden`: 'red' is [8, 2] to the teacher's tokenizer and [7] to the student's: …"]

models/fitness.py looks at each model alone. Here both are tried together, as the config needs it:

    tokens.py    that both tokenize alike, or can be aligned; that answers can be captured and are long enough for none
    shapes.py    that named layers are there and can be read, that the teacher can be cut, and reads the same rows
    settings.py  that the optimizer is installed, and adapters fit the student

No weights are loaded: configs and tokenizers say enough. The preflight and the worker of `teacher_model` ask here, and
the worker once more for a teacher that it has made. What is still to be made has no tokenizer yet, and is not tried.
"""

from distill_dagster.errors import ModelError
from distill_dagster.models.fitness import Parts
from distill_dagster.training.pairing.settings import setting_problems
from distill_dagster.training.pairing.shapes import cut_parameters, shape_problems
from distill_dagster.training.pairing.tokens import token_problems, token_warnings
from distill_dagster.training.pairing.values import Pairing, Sides

__all__ = ["Pairing", "Sides", "cut_parameters", "pairing_problems", "problems_and_warnings", "require_pairing"]


def pairing_problems(pairing: Pairing, made: Parts | None = None) -> list[str]:
    """Why the student cannot learn so, each with the way out. `made` is the teacher, if it was made since."""
    try:
        return _problems(Sides.of(pairing, made), pairing)
    except ModelError as e:
        return [str(e)]


def require_pairing(pairing: Pairing, made: Parts | None = None) -> None:
    """Raise ModelError with all problems."""
    if found := pairing_problems(pairing, made):
        raise ModelError("; ".join(found))


def problems_and_warnings(pairing: Pairing) -> tuple[list[str], list[str]]:
    """The problems; if there are none, what can work and probably not as it is meant. Each tokenizer is opened once."""
    try:
        sides = Sides.of(pairing)
        problems = _problems(sides, pairing)
    except ModelError as e:
        return [str(e)], []
    return problems, [] if problems else list(token_warnings(sides, pairing))


def _problems(sides: Sides, pairing: Pairing) -> list[str]:
    return [*token_problems(sides, pairing), *shape_problems(pairing), *setting_problems(pairing)]
