"""Natural language inference: does the premise entail the hypothesis?

    "Answer: Entailment."                       entailment
    "It is silent on it.\n\nAnswer: neutral"    neutral: the last line that opens with "Answer:"
    "neutral, because the text does not say"    neutral: the text opens with this label and names no other
    "entailment or neutral"                     None: two labels are no answer
    "not entailment"                            None: the text does not open with the label

A project may name labels of its own, such as yes and no.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from distill_dagster.tasks.final_line import after_answer
from distill_dagster.tasks.labelled import LabelTask
from distill_dagster.tasks.labels import WRAPPING, drop_lead, match_label


class NLI(LabelTask):
    """A premise and a hypothesis; the answer is how the two relate."""

    name: ClassVar[str] = "nli"
    labels: ClassVar[tuple[str, ...] | None] = ("entailment", "neutral", "contradiction")
    azure_name: ClassVar[str | None] = "NLI"
    guide: ClassVar[str] = (
        "Decide how the hypothesis relates to the premise. Say what the premise states about the hypothesis, what it "
        "leaves open, and whether both can be true at once; take nothing as given that the premise does not say."
    )

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The label that makes up the text or its last "Answer:", or that opens it before an explanation."""
        known = tuple(labels or self.labels or ())
        stated = after_answer(text)
        return match_label(text, known) or match_label(stated, known) or _leading_label(drop_lead(stated), known)


def _leading_label(text: str, labels: Sequence[str]) -> str | None:
    """The label at the start of `text`, closed by punctuation or a line end; None if `text` names another label too."""
    named = [label for label in labels if re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text, re.IGNORECASE)]
    if len(named) != 1:
        return None
    closed = rf"{re.escape(named[0])}[{re.escape(WRAPPING.strip())}]*(?:[.,;:!?\n]|\s+[-–—(]|\s*$)"
    return named[0] if re.match(closed, text.lstrip(WRAPPING), re.IGNORECASE) else None
