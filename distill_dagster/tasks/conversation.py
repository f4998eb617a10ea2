"""Dialogues: the model answers turn by turn, and every answered turn is an example."""

from collections.abc import Sequence
from typing import ClassVar

from distill_dagster.tasks.base import Task
from distill_dagster.tasks.rouge import rouge


class Conversation(Task):
    """Alternating turns; each answer is scored by ROUGE-L F1 against the gold turn, where there is one."""

    name: ClassVar[str] = "conversation"
    metric: ClassVar[str] = "rouge_l"
    single_turn: ClassVar[bool] = False
    exact: ClassVar[bool] = False

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The text without surrounding blanks."""
        return text.strip() or None

    def agreement(self, answer: str, reference: str) -> float:
        """ROUGE-L F1 without stemming."""
        return rouge(answer, reference, "rougeL", stem=False)
