"""Question answering with short free-text answers.

    answer "The Eiffel Tower."      reference ["Eiffel tower", "the tower"]      exact match 1, token F1 1
    answer "a red car"              reference ["red truck"]                      exact match 0, token F1 1/2

Both scores compare answers as SQuAD does, without case, punctuation, articles and extra blanks, and against the best of
the references (normal_answer.py).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from distill_dagster.tasks.answer_mark import stated
from distill_dagster.tasks.base import Task
from distill_dagster.tasks.boxes import last_box
from distill_dagster.tasks.measures import Measure, mean_of
from distill_dagster.tasks.normal_answer import clash, normal_answer
from distill_dagster.tasks.options import Prompting
from distill_dagster.tasks.words import apart


def token_f1(answer: str | None, references: Sequence[str]) -> float:
    """The best F1 of word overlap with a reference, after SQuAD's normalisation, 0 … 1."""
    if answer is None:
        return 0.0
    return max((_overlap(_words(answer), _words(reference)) for reference in references), default=0.0)


def _words(text: str) -> list[str]:
    return apart(normal_answer(text)).split()


def _overlap(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = sum((Counter(answer) & Counter(reference)).values())
    return 2 * shared / (len(answer) + len(reference))


class QA(Task):
    """A question; the answer is a short text."""

    name: ClassVar[str] = "qa"
    metric: ClassVar[str] = "exact_match"
    more_metrics: ClassVar[Mapping[str, Measure]] = {"token_f1": mean_of(token_f1)}
    azure_name: ClassVar[str | None] = "NLU_QA"
    promptings: ClassVar[tuple[Prompting, ...]] = ("plain", "chain_of_thought")
    guide: ClassVar[str] = (
        "Answer the question. Where a text is given, say which of its words bear on the question and what follows from "
        "them; answer from the text and in its words."
    )

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The text, or what its last "Answer:" or its last box states, without surrounding blanks and Markdown."""
        said = stated(text)
        box = last_box(said)
        return (stated(box.words) if box and not box.is_one_of_several else said) or None

    def agreement(self, answer: str, reference: str, labels: Sequence[str] | None = None) -> float:
        """SQuAD's exact match, except that signs with a meaning count: 1 or 0."""
        return float(normal_answer(answer) == normal_answer(reference) and not clash(answer, reference))
