"""Word problems whose answer is a number, with or without the steps that lead to it.

    "… so 12 * 1.5 = 18.\n#### $18.00"       18
    "… \\boxed{\\frac{1}{2}}"                0.5
    "She has 3 left."                         3

final_number.py says where a text states its number, and numbers.py what is one. A text that states another kind of
answer, such as 2√3 or (1, 2), has no answer here; `symbolic_match` compares those beside the accuracy (symbolic.py).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from distill_dagster.tasks.base import Task
from distill_dagster.tasks.final_number import MARKER, final_number
from distill_dagster.tasks.measures import Measure
from distill_dagster.tasks.numbers import LONGEST, decimal_form
from distill_dagster.tasks.options import Prompting
from distill_dagster.tasks.symbolic import symbolic_match


class Math(Task):
    """A problem; the answer is a number."""

    name: ClassVar[str] = "math"
    metric: ClassVar[str] = "accuracy"
    text_metrics: ClassVar[Mapping[str, Measure]] = {"symbolic_match": symbolic_match}
    azure_name: ClassVar[str | None] = "MATH"
    azure_least_records: ClassVar[int] = 40
    promptings: ClassVar[tuple[Prompting, ...]] = ("plain", "chain_of_thought")
    answer_form: ClassVar[str] = "the final result as a plain number, such as 18, -0.5 or 1/3, without a unit"
    final_mark: ClassVar[str] = MARKER
    guide: ClassVar[str] = (
        "Solve the problem. Write down what is given and what is asked, compute one step at a time with every "
        "intermediate result, and check the result against the question."
    )

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The final number in canonical decimal form, or None."""
        value = final_number(text)
        form = "" if value is None else decimal_form(value)
        return form if 0 < len(form) <= LONGEST else None

    def agreement(self, answer: str, reference: str, labels: Sequence[str] | None = None) -> float:
        """1 if both are the same number, else 0; 18 and 18.0 are the same, 0.33 and 1/3 are not."""
        value = final_number(answer)
        return float(value is not None and value == final_number(reference))
