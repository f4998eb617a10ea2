"""What every task can do: find the answer in a model's text, score it against gold answers, name its class.

The same three functions judge the teacher's rows, the student's predictions and the gold answers themselves, so
that "right" means one thing in the whole lineage. A worked example, for `math`:

    text        "12 * 1.5 = 18, so she pays $18.00.\n#### $18.00"
    parse       "18"                        None where the text holds no answer in the task's form
    score       score("18", ["18.0"]) = 1.0
    label       None                        a class to balance; only nli and classification have one
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar


class Task(ABC):
    """One kind of answer. Tasks hold no state; `tasks.get_task` gives the one of a name."""

    name: ClassVar[str]
    metric: ClassVar[str]  # the headline metric: the mean of `score` under the field's name for it
    single_turn: ClassVar[bool] = True  # one user turn a row
    exact: ClassVar[bool] = True  # a score is 0 or 1, so 0 means wrong
    labels: ClassVar[tuple[str, ...] | None] = None  # the label set, where the task itself fixes it

    @abstractmethod
    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The answer that `text` gives, in the task's one form, or None. `labels` matter to nli and classification."""

    @abstractmethod
    def agreement(self, answer: str, reference: str) -> float:
        """How well a parsed answer agrees with one gold answer, 0 … 1."""

    def score(self, answer: str | None, references: Sequence[str]) -> float:
        """The best agreement with any of the gold answers, 0 … 1; an answer that could not be parsed scores 0.

        Raises:
            ValueError: there is no gold answer, so there is nothing to score against.
        """
        if not references:
            raise ValueError(
                f"a {self.name} answer can be scored only against at least one reference; the row has none"
            )
        if answer is None:
            return 0.0
        return max(self.agreement(answer, reference) for reference in references)

    def label(self, answer: str) -> str | None:
        """The class of a parsed answer, for balancing; None where the task has no classes."""
        return None
