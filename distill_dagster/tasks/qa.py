"""Question answering with short free-text answers.

    answer "The Eiffel Tower."      reference ["Eiffel tower", "the tower"]      score 1

The score is SQuAD's exact match: lower case, without punctuation, articles and extra blanks, best over the
references (Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", section 6.1).
"""

import re
import string
from collections.abc import Sequence
from typing import ClassVar

from distill_dagster.config import Prompting
from distill_dagster.tasks.base import Task
from distill_dagster.tasks.final_line import bare_answer

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normal_answer(text: str) -> str:
    """`text` as SQuAD compares it; a text of nothing but articles and punctuation stays as it is."""
    bare = ARTICLES.sub(" ", text.lower().translate(WITHOUT_PUNCTUATION))
    return " ".join(bare.split()) or text.strip()


class QA(Task):
    """A question; the answer is a short text."""

    name: ClassVar[str] = "qa"
    metric: ClassVar[str] = "exact_match"
    promptings: ClassVar[tuple[Prompting, ...]] = ("plain", "chain_of_thought")
    guide: ClassVar[str] = (
        "Answer the question. Where a text is given, say which of its words bear on the question and what follows from "
        "them; answer from the text and in its words."
    )

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The text, or what its last "Answer:" states, without surrounding blanks."""
        return bare_answer(text) or None

    def agreement(self, answer: str, reference: str) -> float:
        """SQuAD's exact match."""
        return float(normal_answer(answer) == normal_answer(reference))
