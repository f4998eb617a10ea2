"""Word problems whose answer is a number, with or without the steps that lead to it.

    "… so 12 * 1.5 = 18.\n#### $18.00"       18        after the last ####, as GSM8K ends its solutions
    "… \\boxed{\\frac{1}{2}}"                0.5       in the last \\boxed{}
    "The answer is 1,200 apples, not 5."      1200      after the last "answer is"
    "She has 3 left."                         3         else the last number of the text

A marker without a number behind it means that the answer was cut off, which is None: the numbers before it are steps.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import ClassVar

from distill_dagster.tasks.base import Task
from distill_dagster.tasks.numbers import LONGEST, decimal_form, numbers_in
from distill_dagster.tasks.options import Prompting

MARKER = "####"
BOXED = re.compile(r"\\boxed\s*\{")
ANSWER_IS = re.compile(r"\banswer\b\W{0,4}(?:is\b|[:=](?=[^0-9A-Za-z]{0,8}[0-9]))", re.IGNORECASE)


class Math(Task):
    """A problem; the answer is a number."""

    name: ClassVar[str] = "math"
    metric: ClassVar[str] = "accuracy"
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


def final_number(text: str) -> Fraction | None:
    """The number behind the last marker in `text`, or, without a marker, the last number."""
    if MARKER in text:
        return _first_number(text.rpartition(MARKER)[2])
    boxes = list(BOXED.finditer(text))
    if boxes:
        return _first_number(_inside_braces(text, boxes[-1].end()))
    spoken = list(ANSWER_IS.finditer(text))
    if spoken and list(numbers_in(text[spoken[-1].end() :])):
        return _first_number(text[spoken[-1].end() :])
    values = list(numbers_in(text))
    return values[-1] if values else None


def _first_number(text: str) -> Fraction | None:
    """The first number of the first line that holds one; in an equation, the first one right of the last `=`."""
    for line in text.splitlines():
        for part in (line.rpartition("=")[2], line):
            values = list(numbers_in(part))
            if values:
                return values[0]
    return None


def _inside_braces(text: str, start: int) -> str:
    """The text between the brace that opens just before `start` and the one that closes it."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    return ""  # never closed: cut off
