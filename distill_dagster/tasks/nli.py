"""Natural language inference: does the premise entail the hypothesis?

"Answer: Entailment."                       entailment
"It is silent on it.\n\nAnswer: neutral"     neutral: the last line that opens with "Answer:"
"neutral, because the text does not say"    neutral: the label leads, and no other label is named
"entailment or neutral"                     None: two different labels are no answer
"not entailment"                            None: the label does not lead
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from distill_dagster.config import Prompting
from distill_dagster.tasks.base import Task
from distill_dagster.tasks.final_line import after_answer
from distill_dagster.tasks.labels import WRAPPING, drop_lead, match_label, normal_label


class NLI(Task):
    """A premise and a hypothesis; the answer is a label."""

    name: ClassVar[str] = "nli"
    metric: ClassVar[str] = "accuracy"
    labelled: ClassVar[bool] = True
    labels: ClassVar[tuple[str, ...] | None] = ("entailment", "neutral", "contradiction")
    promptings: ClassVar[tuple[Prompting, ...]] = ("plain", "chain_of_thought")
    answer_key: ClassVar[str] = "answer_choice"
    guide: ClassVar[str] = (
        "Decide how the hypothesis relates to the premise. Say what the premise states about the hypothesis, what it "
        "leaves open, and whether both can be true at once; take nothing as given that the premise does not say."
    )

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The label that the text or its last "Answer:" is, or that leads it and is followed by an explanation."""
        known = tuple(labels or self.labels or ())
        stated = after_answer(text)
        return match_label(text, known) or match_label(stated, known) or _leading_label(drop_lead(stated), known)

    def agreement(self, answer: str, reference: str) -> float:
        """1 if both are the same label."""
        return float(normal_label(answer) == normal_label(reference))

    def label(self, answer: str) -> str | None:
        """The answer itself."""
        return answer


def _leading_label(text: str, labels: Sequence[str]) -> str | None:
    """The label at the start of `text` that punctuation or a line end closes, if no other label is named."""
    named = [label for label in labels if re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text, re.IGNORECASE)]
    if len(named) != 1:
        return None
    closed = rf"{re.escape(named[0])}[{re.escape(WRAPPING.strip())}]*(?:[.,;:!?\n]|\s+[-–—(]|\s*$)"
    return named[0] if re.match(closed, text.lstrip(WRAPPING), re.IGNORECASE) else None
