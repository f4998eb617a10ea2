"""What a row filter looks at: one teacher row beside the raw row that it answers, with the text parsed again.

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
    """A teacher row with everything that a filter may look at."""

    raw: Mapping[str, Any]  # the row that it answers
    teacher: Mapping[str, Any]
    task: Task
    labels: Sequence[str] | None
    reference: Sequence[str]  # gold answers to this turn
    reading: Reading  # the text as the task parses it now
    gold_agreement: bool = False  # quality.require_gold_agreement
    reasoning_needed: bool = False  # the student learns it, and the prompt asked for it
    refuse_personal_data: bool = False  # quality.personal_data is `reject`
    reasoning_learned: bool = False  # the student learns it where there is one

    @property
    def answer(self) -> str | None:
        """The answer in the task's form."""
        return self.reading.answer

    @property
    def text(self) -> str:
        """The answer as the teacher wrote it, without thoughts, JSON and outer white space; "" without an answer."""
        return self.reading.said

    @property
    def asked(self) -> list[str]:
        """The texts of the row's prompt: every message that is not the assistant's."""
        return [m["content"] for m in self.raw.get("messages") or () if m["role"] != "assistant"]

    @property
    def learned(self) -> list[str]:
        """The texts that the student would see: the prompt, the answer, and the reasoning if the student learns it."""
        reasoning = self.reading.reasoning if self.reasoning_learned else None
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
    """The teacher row beside its raw row, with its text parsed for the prompting that the row records."""
    prompting = task.prompting_for(_asked_with(teacher["params"]))
    reasoning_learned = learn == "reasoning_and_answer" and "chain_of_thought" in task.promptings
    return Candidate(
        raw=raw,
        teacher=teacher,
        task=task,
        labels=labels,
        reference=reference,
        reading=_read(task, teacher, prompting, labels),
        gold_agreement=quality.require_gold_agreement,
        reasoning_needed=reasoning_learned and prompting == "chain_of_thought",
        refuse_personal_data=quality.personal_data == "reject",
        reasoning_learned=reasoning_learned,
    )


@lru_cache(maxsize=64)
def _asked_with(params: str) -> Prompting:
    """The prompting in a teacher row's parameters; rows from before that setting have plain prompts."""
    return json.loads(params).get("prompting", "plain")


def _read(task: Task, teacher: Mapping[str, Any], prompting: Prompting, labels: Sequence[str] | None) -> Reading:
    """The parsed text; if it holds no reasoning, the one that the server returned beside the text counts."""
    reading = task.read(teacher["raw_text"] or "", prompting, labels)
    if reading.reasoning or not teacher["reasoning"]:
        return reading
    return replace(reading, reasoning=teacher["reasoning"])
