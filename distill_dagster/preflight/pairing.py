"""Whether the student can learn from the teacher, as far as both exist: before anything is made of either.

training/pairing has these checks; the worker of `teacher_model` repeats them.
"""

from distill_dagster.errors import UserError
from distill_dagster.preflight.pending import Pending, trained_by
from distill_dagster.preflight.requirement import LATER, Requirement
from distill_dagster.training.pairing import Pairing, cut_parameters, problems_and_warnings

TAUGHT = {"teacher_model", "teacher_outputs", "teacher_logits", "student_base", "student_sweep", "student_checkpoint"}


def pairing_requirements(pending: Pending, parameters: dict[str, int], *, whole: bool) -> list[Requirement]:
    """What is found of teacher and student together; a cut student's size is added to `parameters`.

    Both are known to be sound by themselves. Without `whole`, transformers is not imported.
    """
    if not TAUGHT.intersection(pending.stages) and not any(map(trained_by, pending.stages)):
        return []
    of = "student.init" if pending.config.student.init else "student.model"
    if not whole:
        return [Requirement("pairing", of, "not checked", f"teacher and student together; {LATER}")]
    pairing = Pairing.of(pending.config)
    try:
        problems, warnings = problems_and_warnings(pairing)
        cut = 0 if problems else cut_parameters(pairing)
    except UserError as e:
        problems, warnings, cut = [str(e)], [], 0
    if problems:
        return [Requirement("pairing", of, "error", "; ".join(problems))]
    if cut:
        parameters["student"] = cut
    said = f"{cut:,} parameters of the teacher" if cut else _words(pairing)
    return [Requirement("pairing", of, "warning", warning) for warning in warnings] or [
        Requirement("pairing", of, "ok", said)
    ]


def _words(pairing: Pairing) -> str:
    """What was looked at, in words."""
    training = pairing.training
    if training.signal == "text":
        return "any teacher's text can be learned"
    if not all(model and model.name for model in (pairing.teacher, pairing.student)):
        return "their tokens are tried as soon as there are both models"
    return "aligned with the teacher's tokens by bytes" if training.aligns_tokens else "the teacher's tokens"
