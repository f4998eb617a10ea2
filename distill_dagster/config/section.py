"""The base of every section of the config, and the words that several sections share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

TaskName = Literal["nli", "conversation", "qa", "math", "summarization", "classification"]
Prompting = Literal["plain", "chain_of_thought", "chain_of_density"]  # how the teacher is prompted: docs/prompting.md
Engine = Literal["auto", "continuous", "batched"]  # how a local teacher generates: docs/adr/0006-local-engine.md
Learn = Literal["answer", "reasoning_and_answer"]  # what the student learns to write
Role = Literal["teacher", "baseline", "student"]  # of a model in the evaluation
ROLES: tuple[Role, ...] = ("teacher", "baseline", "student")
SUMMARY_WORDS = 80


class Section(BaseModel):
    """A part of the config: immutable, and without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
