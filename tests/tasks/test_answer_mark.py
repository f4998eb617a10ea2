"""The texts that the student learns, and the mark after which a parser finds their answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.tasks import TASKS, get_task
from tests.tasks.label_texts import ODD_INTENTS


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("nli", "entailment? No.\n\nAnswer: neutral", "neutral"),
        ("nli", "Answer: contradiction\nOr rather:\nAnswer: neutral", "neutral"),
        ("nli", "The note is silent.\n\nAnswer: neutral, as it is silent", "neutral"),
        ("nli", "The note is silent: neutral\n\nAnswer:", None),
        ("classification", "Not Überweisung.\n\nAnswer: card_arrival", "card_arrival"),
        ("classification", 'So:\nAnswer: Say "hi"', 'say "hi"?'),
        ("qa", "France, so:\n\nAnswer: Paris", "Paris"),
        ("qa", "France, so:\n\nAnswer:", None),
        ("qa", "The Answer: Paris", "The Answer: Paris"),
        ("math", "5 + 3\n\n#### 8", "8"),
    ],
)
def test_parsers_find_the_answer_after_its_reasoning(name, text, answer):
    labels = ODD_INTENTS if name == "classification" else None
    assert get_task(name).parse(text, labels) == answer


def test_what_the_student_learns():
    nli, math, talk = get_task("nli"), get_task("math"), get_task("conversation")
    assert nli.teach("neutral", "It is silent.\n", "reasoning_and_answer") == "It is silent.\n\nAnswer: neutral"
    assert nli.teach("neutral", "It is silent.", "answer") == "neutral"
    assert nli.teach("neutral", None, "reasoning_and_answer") == "neutral"
    assert math.teach("18", "9 * 2", "reasoning_and_answer") == "9 * 2\n\n#### 18"
    assert talk.teach("Hello!", "He greets.", "reasoning_and_answer") == "Hello!"


MARKS = [
    "Answer:",
    "Answer: neutral",
    "#### 7",
    "####",
    "label: ",
    "the answer is ",
    "is",
    "=",
    "\\boxed{4}",
    "</think>",
]
VALUES = [
    "entailment",
    "neutral.",
    "card_arrival",
    "12",
    "-1/3",
    "1e50",
    "**",
    '"',
    "(",
    " ",
    "\n",
    "\n\n",
    "\u2028",
    "\x1c",
]
PROSE = st.lists(st.sampled_from(MARKS + VALUES) | st.text(max_size=8), max_size=10).map("".join)


@pytest.mark.parametrize("name", sorted(TASKS))
@given(text=PROSE, reasoning=PROSE | st.none(), labelled=st.booleans())
def test_the_parser_finds_the_answer_in_what_the_student_learns(name, text, reasoning, labelled):
    task = get_task(name)
    labels = {"classification": ODD_INTENTS, "nli": ["neutral", "card_arrival", "12"]}.get(name) if labelled else None
    plain = {"nli": "neutral", "classification": "card_arrival", "math": "-0.5"}.get(name, "some words")
    answer = task.parse(text, labels) or plain
    for learn in ("answer", "reasoning_and_answer"):
        assert task.parse(task.teach(answer, reasoning, learn), labels) == answer


@pytest.mark.parametrize("label", ODD_INTENTS)
@given(reasoning=PROSE)
def test_the_parser_finds_every_label_in_what_the_student_learns(label, reasoning):
    for name in ("classification", "nli"):
        task = get_task(name)
        assert task.parse(task.teach(label, reasoning, "reasoning_and_answer"), ODD_INTENTS) == label
