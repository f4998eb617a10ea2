"""The base of every section of the config, and the words that several sections share."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from distill_dagster.tasks import TaskName
from distill_dagster.tasks.options import SUMMARY_WORDS, Learn, Prompting

Engine = Literal["auto", "continuous", "batched", "vllm"]  # of a local teacher: docs/adr/0006-local-engine.md
Role = Literal["teacher", "baseline", "student"]  # of a model in the evaluation
ROLES: tuple[Role, ...] = ("teacher", "baseline", "student")
MeasuredRole = Role | Literal["gold_student"]  # the last one only with `evaluation.gold_student`
DivergenceName = Literal["forward_kl", "reverse_kl", "skew_kl", "jsd"]
VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE"]  # what the report says of the student


class Section(BaseModel):
    """A part of the config: immutable, without unknown fields, and with numbers that JSON can write.

    A section of it that is empty, because all its lines are comments, has its defaults.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None or not cls._is_section(name)}

    @classmethod
    def _is_section(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        kind = field.default_factory if field else None
        return isinstance(kind, type) and issubclass(kind, Section)


__all__ = [
    "ROLES",
    "SUMMARY_WORDS",
    "DivergenceName",
    "Engine",
    "Learn",
    "MeasuredRole",
    "Prompting",
    "Role",
    "Section",
    "TaskName",
]
