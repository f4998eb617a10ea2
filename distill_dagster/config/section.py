"""The base of every section of the config, and the words that several sections share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from distill_dagster.tasks import TaskName
from distill_dagster.tasks.options import SUMMARY_WORDS, Learn, Prompting

Engine = Literal["auto", "continuous", "batched", "vllm"]  # of a local teacher: docs/adr/0006-local-engine.md
Role = Literal["teacher", "baseline", "student"]  # of a model in the evaluation
ROLES: tuple[Role, ...] = ("teacher", "baseline", "student")
MeasuredRole = Role | Literal["gold_student"]  # the last one only with `evaluation.gold_student`
DivergenceName = Literal["forward_kl", "reverse_kl", "skew_kl", "jsd"]
VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE"]  # what the report says of the student


class Section(BaseModel):
    """A part of the config: immutable, without unknown fields, and with numbers that JSON can write."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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
