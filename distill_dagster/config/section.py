"""What every part of the config is made of, and the words that several parts share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

TaskName = Literal["nli", "conversation", "qa", "math", "summarization", "classification"]
Prompting = Literal["plain", "chain_of_thought", "chain_of_density"]  # how the teacher is asked, see docs/prompting.md
Engine = Literal["auto", "continuous", "batched"]  # how a local teacher answers, see docs/adr/0006-local-engine.md
Learn = Literal["answer", "reasoning_and_answer"]  # what the student is taught
Role = Literal["teacher", "baseline", "student"]  # of a model in the evaluation
ROLES: tuple[Role, ...] = ("teacher", "baseline", "student")
VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE"]  # what the report says of the student, see docs/adr/0010
SUMMARY_WORDS = 80


class Section(BaseModel):
    """A part of the config: immutable, and an unknown field in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
