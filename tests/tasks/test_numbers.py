"""The number that a solution ends on, or none: never a part of something else."""

import pytest

from distill_dagster.tasks import get_task
from tests.tasks.number_texts import NO_NUMBERS, NUMBERS

MATH = get_task("math")


@pytest.mark.parametrize(("text", "number"), NUMBERS)
def test_a_number_in_any_form(text, number):
    assert MATH.parse(text, None) == number
    assert MATH.score(number, [text]) == 1
    assert MATH.parse(f"First 3 + 4 = 7.\n\n{text}", None) == number


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_part_of_something_else_is_the_number(text):
    assert MATH.parse(text, None) is None


@pytest.mark.parametrize(
    "text", [r"2\sqrt{3}", "(1, 2)", "3 or 5", "3x", "10-15", "0,1", "5k", r"\frac{\pi}{2}", "2^{10}"]
)
@pytest.mark.parametrize("mark", ["#### {}", "Answer: {}", "**Answer:** {}", r"\boxed{{{}}}", "The answer is ${}$."])
def test_a_marked_answer_that_is_no_number_is_none(mark, text):
    assert MATH.parse("3 + 4 = 7.\n" + mark.format(text), None) is None


@pytest.mark.parametrize(
    "piece", ["1, ", "1 ", "Answer:", "<answer>", "# ", "```\n", "**", "\\frac", "{", '{"answer":', "(1,", "9", "- "]
)
def test_a_loop_of_any_piece_is_read_in_no_time(piece):
    for name in ("math", "qa", "nli", "classification", "summarization"):
        get_task(name).parse(piece * 20_000, ["yes", "no"])  # a quadratic reader takes minutes
