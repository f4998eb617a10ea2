"""Whether the student can be exported, from its config and tokenizer alone: before anything is trained or paid.

    problems(["gguf_q8_0"], config of a GPT-2, tokenizer)    ["`export.formats`: gguf_q8_0: GGUF is written for …"]

The worker of an export checks the trained student in the same way.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from distill_dagster.config import DistillConfig, ExportFormat, ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.fitness import Parts, parts_of
from distill_dagster.models.outline import config_of
from distill_dagster.release.export.formats import family, precision
from distill_dagster.release.export.gguf_shape import shape_problem
from distill_dagster.release.export.gguf_vocabulary import OTHER_WAYS, end_problem, splitting_rule
from distill_dagster.release.export.onnx_folder import onnx_problem


def export_problems(config: DistillConfig) -> list[str]:
    """Why the student of a project cannot be exported as it asks, each with the way out.

    Raises:
        ModelError: a model that exists cannot be read.
    """
    if not config.export.formats:
        return []
    student = config.student.model or config.teacher.model  # one that is cut out of the teacher is like it
    if student is None:
        return []
    parts = parts_of(student, config.prompt_date)
    outline = parts.config if parts else config_of(student)
    return problems(config.export.formats, outline, parts or _tokenizer_parts(config, student))


def _tokenizer_parts(config: DistillConfig, student: ModelConfig) -> Parts | None:
    """The parts of a teacher whose tokenizer a new student gets; None for a tokenizer that is trained on the rows.

    Ours has the rule `gpt-2` and one end token.
    """
    teacher = config.teacher.model
    return parts_of(teacher, config.prompt_date) if student.tokenizer == "teacher" and teacher else None


def problems(formats: Sequence[ExportFormat], config: Any, parts: Parts | None) -> list[str]:
    """Why a model with this transformers config, and the tokenizer of `parts`, has no such export."""
    return [f"`export.formats`: {form}: {problem}" for form in formats for problem in _problems_of(form, config, parts)]


def _problems_of(form: ExportFormat, config: Any, parts: Parts | None) -> Iterator[str]:
    if family(form) == "onnx":
        if problem := onnx_problem(config, precision(form)):
            yield problem
        return
    if problem := shape_problem(config):
        yield problem
    if parts is None:
        return
    if problem := end_problem(parts.tokenizer, parts.ends):
        yield f"{problem}: {OTHER_WAYS}"
    try:
        splitting_rule(parts.tokenizer)
    except ModelError as e:
        yield str(e)
