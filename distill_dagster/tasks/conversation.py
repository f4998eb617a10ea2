"""Dialogues: the model answers turn by turn, and every answered turn is an example.

    answer "Your order ships on Monday."      gold turn "It ships on Monday."      ROUGE-L F1 2/3

The assistant turns of the row are its gold answers; a conversation has no `reference`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

from distill_dagster.tasks.base import Task
from distill_dagster.tasks.bleu import bleu
from distill_dagster.tasks.measures import Measure
from distill_dagster.tasks.rouge import mean_rouge, rouge


def distinct_2(answers: Sequence[str | None], _references: Sequence[Sequence[str]] = ()) -> float:
    """The share of different pairs among all pairs of neighbouring words, over all answers, 0 … 1.

    This is distinct-2 of Li et al. 2016: a model that gives everyone the same polite reply has nearly 0. It depends on
    the number of answers, so compare models over the same rows only. It is 0 where no answer has two words.
    """
    words = [(answer or "").casefold().split() for answer in answers]
    pairs = [pair for answer in words for pair in pairwise(answer)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


class Conversation(Task):
    """Alternating turns; each answer is scored by ROUGE-L F1 against its gold turn, where the row has one."""

    name: ClassVar[str] = "conversation"
    metric: ClassVar[str] = "rouge_l"
    more_metrics: ClassVar[Mapping[str, Measure]] = {
        "rouge_1": mean_rouge("rouge1", stem=False),
        "rouge_2": mean_rouge("rouge2", stem=False),
        "bleu": bleu,
        "distinct_2": distinct_2,
    }
    single_turn: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    azure_name: ClassVar[str | None] = "CONVERSATION"

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The text without surrounding blanks."""
        return text.strip() or None

    def agreement(self, answer: str, reference: str, labels: Sequence[str] | None = None) -> float:
        """ROUGE-L F1 without stemming."""
        return rouge(answer, reference, "rougeL", stem=False)
