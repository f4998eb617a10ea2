"""Classification into labels that the project names, such as the intents of a help desk.

    labels ["card_arrival", "reverted_card_payment?"]
    "Label: Card_arrival"       card_arrival
    "reverted_card_payment"     reverted_card_payment?    (final punctuation is not compared)
    "my card"                   None

Without a label set every single line is an answer.
"""

from collections.abc import Sequence
from typing import ClassVar

from distill_dagster.tasks.base import Task
from distill_dagster.tasks.labels import drop_lead, match_label, normal_label


class Classification(Task):
    """A text; the answer is one label of a set."""

    name: ClassVar[str] = "classification"
    metric: ClassVar[str] = "accuracy"

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The label that the text is; without a label set, the text's only line."""
        if labels:
            return match_label(text, labels)
        line = drop_lead(text)
        return line if line and len(line.splitlines()) == 1 else None

    def agreement(self, answer: str, reference: str) -> float:
        """1 if both are the same label."""
        return float(normal_label(answer) == normal_label(reference))

    def label(self, answer: str) -> str | None:
        """The answer itself."""
        return answer
