"""Summaries: free text, scored by the words it shares in order with a gold summary."""

from collections.abc import Sequence
from typing import ClassVar

from distill_dagster.tasks.base import Task
from distill_dagster.tasks.rouge import rouge_l


class Summarization(Task):
    """A text; the answer is a shorter one. Scored by ROUGE-L F1 with stemming, best over the references."""

    name: ClassVar[str] = "summarization"
    metric: ClassVar[str] = "rouge_l"
    exact: ClassVar[bool] = False

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The text without surrounding blanks."""
        return text.strip() or None

    def agreement(self, answer: str, reference: str) -> float:
        """ROUGE-L F1 with stemming."""
        return rouge_l(answer, reference, stem=True)
