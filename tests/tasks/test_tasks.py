"""Parsers and scores: which texts are an answer, and which are the same answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.errors import ConfigError
from distill_dagster.tasks import TASKS, get_task

INTENTS = ["card_arrival", "reverted_card_payment?", "Refund_not_showing_up"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("entailment", "entailment"),
        (" Answer: Entailment.", "entailment"),
        ("**Label:** contradiction", "contradiction"),
        ("The answer is neutral.", "neutral"),
        ("neutral, because the text does not say", "neutral"),
        ("Entailment\n\nThe premise says so.", "entailment"),
        ("entailment or neutral", None),
        ("neutral. It is no contradiction", None),
        ("not entailment", None),
        ("entailment is not given", None),
        ("neutral-ish", None),
        ("", None),
    ],
)
def test_nli_parse(text, answer):
    assert get_task("nli").parse(text, None) == answer


def test_nli_accepts_a_projects_own_labels():
    assert get_task("nli").parse("Yes.", ["yes", "no"]) == "yes"
    assert get_task("nli").parse("entailment", ["yes", "no"]) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Label: Card_arrival", "card_arrival"),
        ("reverted_card_payment", "reverted_card_payment?"),
        ("refund_not_showing_up.", "Refund_not_showing_up"),
        ("my card", None),
        ("card_arrival or refund", None),
    ],
)
def test_classification_parse(text, answer):
    assert get_task("classification").parse(text, INTENTS) == answer


def test_classification_refuses_a_form_that_two_labels_share():
    task = get_task("classification")
    assert task.parse("A!", ["a", "a."]) is None
    assert task.parse("a.", ["a", "a."]) == "a."


def test_classification_without_labels_takes_a_single_line():
    task = get_task("classification")
    assert (task.parse(" refund ", None), task.parse("a\nb", None), task.parse(" \n", None)) == ("refund", None, None)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so 3.\n#### 1,200", "1200"),
        ("#### $18.00", "18"),
        ("#### 3 - 3 = 0", "0"),
        ("5 apples ####", None),
        (r"thus \boxed{\frac{1}{2}} of 9", "0.5"),
        (r"\boxed{-\frac{3}{8}}", "-0.375"),
        (r"\boxed{12", None),
        ("The answer is 8 (since 5+3=8)", "8"),
        ("The answer is 1,200 apples, not 5.", "1200"),
        ("**Answer:** 42", "42"),
        ("Answer: she has 5 apples. So 8.", "8"),
        ("x is -3.50%", "-3.5"),
        ("-$18", "-18"),
        ("$-18", "-18"),
        ("5-3", None),
        ("- 4 apples", "4"),
        ("1 1/2", "1.5"),
        ("1/3", "1/3"),
        ("1e3", "1000"),
        ("-0", "0"),
        ("1,20", None),
        ("3/4/2020", None),
        ("1.2.3", None),
        ("1/0", None),
        ("9" * 5000, None),
        ("twelve", None),
    ],
)
def test_math_parse(text, answer):
    assert get_task("math").parse(text, None) == answer


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=3))
def test_math_parses_its_own_form_and_every_way_to_write_it(value):
    task = get_task("math")
    answer = task.parse(f"#### {value:,f}", None)
    assert answer is not None
    assert task.parse(answer, None) == answer
    assert task.score(answer, [f"{value:f}"]) == 1


def test_math_score_is_numeric():
    task = get_task("math")
    assert task.score("18", ["18.0"]) == 1
    assert task.score("0.5", ["7", "1/2"]) == 1
    assert task.score("0.33", ["1/3"]) == 0
    assert task.score("18", ["so it is 9 * 2.\n#### 18"]) == 1


def test_qa_score_is_squads_exact_match_over_all_references():
    task = get_task("qa")
    assert task.score("The Eiffel Tower.", ["a tower", "eiffel tower"]) == 1
    assert task.score("Eiffel", ["Eiffel tower"]) == 0
    assert task.score("%", ["$"]) == 0
    assert task.parse("  \n", None) is None


def test_rouge_takes_the_best_reference_and_stems_only_summaries():
    assert get_task("summarization").score("cats running", ["dogs", "cat runs"]) == 1
    assert get_task("conversation").score("cats running", ["cat runs"]) == 0
    assert get_task("conversation").score("the cat sat", ["the cat"]) == pytest.approx(0.8)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_scores_its_own_answer_1_and_none_0(name):
    task = get_task(name)
    text = {"nli": "neutral", "math": "12"}.get(name, "some words")
    assert task.score(task.parse(text, None), ["other", text]) == 1
    assert task.score(None, [text]) == 0
    with pytest.raises(ValueError, match="at least one reference"):
        task.score(text, [])


@pytest.mark.parametrize("name", sorted(TASKS))
@given(text=st.text(max_size=60))
def test_every_parser_accepts_any_text_and_its_own_answers(name, text):
    task = get_task(name)
    answer = task.parse(text, None)
    if answer is not None and name != "classification":
        assert task.parse(answer, None) == answer
    assert answer is None or answer.strip()


def test_only_tasks_with_labels_have_classes_to_balance():
    assert get_task("nli").label("neutral") == "neutral"
    assert get_task("classification").label("refund") == "refund"
    assert get_task("math").label("3") is None


def test_an_unknown_task_is_refused_with_the_names_that_exist():
    with pytest.raises(ConfigError, match=r"'translation'.*classification"):
        get_task("translation")
