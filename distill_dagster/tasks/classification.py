"""Classification into labels that the project names, such as the intents of a help desk.

    labels ["card_arrival", "reverted_card_payment?"]
    "Label: Card_arrival"       card_arrival
    "reverted_card_payment"     reverted_card_payment?    (final punctuation is compared only if labels differ in it)
    "So: it.\n\nAnswer: card_arrival"   card_arrival
    "my card"                   None

Where the config names no labels, the gold answers of the training rows are the set. Without any set, every single
line is an answer.
"""

from collections.abc import Sequence
from typing import ClassVar

from distill_dagster.tasks.labelled import LabelTask
from distill_dagster.tasks.stated_label import only_line, stated_label


class Classification(LabelTask):
    """A text; the answer is the label that fits it."""

    name: ClassVar[str] = "classification"
    labels_from_gold: ClassVar[bool] = True
    answer_form: ClassVar[str] = "the label alone, on one line"
    guide: ClassVar[str] = (
        "Classify the user's text. Say what in the text speaks for each label that comes into question, and what sets "
        "the best one apart from the next best."
    )

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The label that makes up the text or that it states; without a label set, the only line there."""
        return stated_label(text, labels) if labels else only_line(text)
