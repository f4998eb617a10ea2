"""What a row filter looks at: one teacher row beside the raw row that it answers, read anew.

raw        {"row_id": "a", "messages": [… user "Premise: … Hypothesis: …"], …}
teacher    {"raw_text": "Label: Neutral.", "finish_reason": "stop", …}
answer     "neutral"            text       "Label: Neutral."
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from distill_dagster.config import Learn, Prompting, QualityConfig
from distill_dagster.tasks import Reading, Task


@dataclass(frozen=True, slots=True)
class Candidate:
    """A teacher row with all that a filter may look at."""

    raw: Mapping[str, Any]  # its raw row
    teacher: Mapping[str, Any]
    task: Task
    labels: Sequence[str] | None
    reference: Sequence[str]  # gold answers to this turn
    reading: Reading  # the text as the task reads it now
    gold_agreement: bool = False  # quality.require_gold_agreement
    reasoning_needed: bool = False  # the student learns it, and the teacher was asked for it
    refuse_personal_data: bool = False  # quality.personal_data is `reject`

    @property
    def answer(self) -> str | None:
        """The answer in the task's form."""
        return self.reading.answer

    @property
    def text(self) -> str:
        """What stands in the answer's place, without thoughts, JSON and blanks around it; "" where nothing does."""
        return self.reading.said

    @property
    def asked(self) -> list[str]:
        """What the row says to the teacher: every message that is not the assistant's."""
        return [m["content"] for m in self.raw.get("messages") or () if m["role"] != "assistant"]

    @property
    def learned(self) -> list[str]:
        """The texts that the student would see: what is asked, the answer, and a reasoning that is taught."""
        reasoning = self.reading.reasoning if self.reasoning_needed else None
        return [*self.asked, *filter(None, (self.answer, reasoning))]


def candidate_of(
    raw: Mapping[str, Any],
    teacher: Mapping[str, Any],
    task: Task,
    labels: Sequence[str] | None,
    reference: Sequence[str],
    quality: QualityConfig,
    learn: Learn,
) -> Candidate:
    """The teacher row beside its raw row, its text parsed anew with the prompting that it was asked with."""
    prompting = task.prompting_for(_asked_with(teacher["params"]))
    return Candidate(
        raw=raw,
        teacher=teacher,
        task=task,
        labels=labels,
        reference=reference,
        reading=_read(task, teacher, prompting, labels),
        gold_agreement=quality.require_gold_agreement,
        reasoning_needed=learn == "reasoning_and_answer" and prompting == "chain_of_thought",
        refuse_personal_data=quality.personal_data == "reject",
    )


@lru_cache(maxsize=64)
def _asked_with(params: str) -> Prompting:
    """The prompting in a teacher row's parameters; rows of the time before there was any were asked plainly."""
    return json.loads(params).get("prompting", "plain")


def _read(task: Task, teacher: Mapping[str, Any], prompting: Prompting, labels: Sequence[str] | None) -> Reading:
    """The raw text, parsed anew; thoughts that the server gave apart from the text stand in the row's `reasoning`."""
    reading = task.read(teacher["raw_text"] or "", prompting, labels)
    if reading.reasoning or not teacher["reasoning"]:
        return reading
    return replace(reading, reasoning=teacher["reasoning"])
