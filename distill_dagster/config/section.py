"""What every part of the config is made of, and the words that several parts share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from distill_dagster.tasks import TaskName
from distill_dagster.tasks.options import SUMMARY_WORDS, Learn, Prompting

Engine = Literal["auto", "continuous", "batched"]  # how a local teacher answers, see docs/adr/0006-local-engine.md
Role = Literal["teacher", "baseline", "student"]  # of a model in the evaluation
ROLES: tuple[Role, ...] = ("teacher", "baseline", "student")


class Section(BaseModel):
    """A part of the config: immutable, and an unknown field in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


__all__ = ["ROLES", "SUMMARY_WORDS", "Engine", "Learn", "Prompting", "Role", "Section", "TaskName"]
