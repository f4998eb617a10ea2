"""Classification into labels that the project names, such as the intents of a help desk.

    labels ["card_arrival", "reverted_card_payment?"]
    "Label: Card_arrival"       card_arrival
    "reverted_card_payment"     reverted_card_payment?    (final punctuation is not compared)
    "So: it.\n\nAnswer: card_arrival"   card_arrival
    "my card"                   None

Without a label set every single line is an answer.
"""

from collections.abc import Sequence
from typing import ClassVar

from distill_dagster.config import Prompting
from distill_dagster.tasks.base import Task
from distill_dagster.tasks.final_line import after_answer
from distill_dagster.tasks.labels import drop_lead, match_label, normal_label


class Classification(Task):
    """A text; the answer is one label of a set."""

    name: ClassVar[str] = "classification"
    metric: ClassVar[str] = "accuracy"
    labelled: ClassVar[bool] = True
    promptings: ClassVar[tuple[Prompting, ...]] = ("plain", "chain_of_thought")
    answer_key: ClassVar[str] = "answer_choice"
    answer_form: ClassVar[str] = "the label alone, on one line"
    guide: ClassVar[str] = (
        "Classify the user's text. Say what in the text speaks for each label that comes into question, and what sets "
        "the best one apart from the next best."
    )

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The label that the text or its last "Answer:" is; without a label set, the only line there."""
        stated = after_answer(text)
        if labels:
            return match_label(text, labels) or match_label(stated, labels)
        line = drop_lead(stated)
        return line if line and len(line.splitlines()) == 1 else None

    def agreement(self, answer: str, reference: str) -> float:
        """1 if both are the same label."""
        return float(normal_label(answer) == normal_label(reference))

    def label(self, answer: str) -> str | None:
        """The answer itself."""
        return answer
