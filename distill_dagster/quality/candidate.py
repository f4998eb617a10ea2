"""What a row filter looks at: one teacher row beside the raw row that it answers, read anew.

raw        {"row_id": "a", "messages": [… user "Premise: … Hypothesis: …"], …}
teacher    {"raw_text": "Label: Neutral.", "finish_reason": "stop", …}
answer     "neutral"            text       "Label: Neutral."
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
