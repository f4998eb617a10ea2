"""Natural language inference: does the premise entail the hypothesis?

    "Answer: Entailment."                       entailment
    "It is silent on it.\n\nAnswer: neutral"    neutral: the last line that opens with "Answer:"
    "neutral, because the text does not say"    neutral: the text opens with this label and names no other
    "entailment or neutral"                     None: two labels are no answer
    "not entailment"                            None: the text does not open with the label

A project may name labels of its own, such as yes and no.
"""

from collections.abc import Sequence
from typing import ClassVar

from distill_dagster.tasks.labelled import LabelTask
from distill_dagster.tasks.stated_label import leading_label, stated_label


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
        """The label that makes up the text or that it states, or that opens it before an explanation."""
        known = tuple(labels or self.labels or ())
        return stated_label(text, known) or leading_label(text, known)
