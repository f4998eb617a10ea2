"""Choosing one of several answers: which agree, which tie, and which judge's replies name one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.generation.choosing import agreements, judge_messages, read_choice


def majority(task, *answers):
    return agreements(task, [[answer] for answer in answers], None)


def test_the_majority_of_labels_and_of_numbers():
    assert majority("nli", "neutral", "entailment", "neutral") == [0.5, 0.0, 0.5]
    assert majority("math", "18", "18.0", "20") == [0.5, 0.5, 0.0]
    assert majority("qa", "The tower.", "tower", "a bridge", "the Tower") == [2 / 3, 2 / 3, 0.0, 2 / 3]


def test_free_text_agrees_by_degrees():
    near, far, nearer = majority("summarization", "the red fox ran", "rain", "the red fox ran away")
    assert near == nearer > 0.4
    assert far == 0.0


def test_what_does_not_parse_agrees_with_nothing_not_even_with_itself():
    assert majority("math", None, None, "3") == [0.0, 0.0, 0.0]
    assert majority("math", None, "3", "3") == [0.0, 0.5, 0.5]


def test_gold_decides_where_there_is_one_and_the_majority_where_there_is_none():
    answers = [["18"], ["18"], ["20"]]
    assert agreements("math", answers, [["20"]]) == [0.0, 0.0, 1.0]
    assert agreements("math", answers, [[]]) == [0.5, 0.5, 0.0]
    assert agreements("math", [[None], ["20"]], [["20", "21"]]) == [0.0, 1.0]


def test_a_conversation_counts_the_turns_that_have_gold():
    whole = [["Hi there", "Bye now"], ["Hi there", "No"]]
    assert agreements("conversation", whole, [["Hi there"], ["Bye now"]]) == [1.0, 0.5]
    assert agreements("conversation", whole, [[], ["Bye now"]]) == [1.0, 0.0]
    assert agreements("conversation", whole, [[], []]) == [0.5, 0.5]


def test_one_answer_has_nothing_to_agree_with():
    assert majority("qa", "alone") == [0.0]


@given(st.lists(st.sampled_from(["entailment", "neutral", None]), min_size=1, max_size=6))
def test_agreement_is_a_share_and_no_matter_of_order(answers):
    found = majority("nli", *answers)
    assert all(0 <= value <= 1 for value in found)
    assert majority("nli", *reversed(answers)) == found[::-1]


def test_the_judge_sees_the_row_and_the_numbered_answers_and_no_template_is_filled_in():
    system, user = judge_messages(
        [{"role": "system", "content": "Be {kind}."}, {"role": "user", "content": "{count} %s?"}], ["{0}", "two"]
    )
    assert "2 candidate replies" in system["content"]
    assert '{"best": <number>}' in system["content"]
    assert user == {
        "role": "user",
        "content": "[system]\nBe {kind}.\n\n[user]\n{count} %s?\n\n[reply 1]\n{0}\n\n[reply 2]\ntwo",
    }


CHOICES = {
    '{"best": 2}': 1,
    '```json\n{"best": 1}\n```': 0,
    'Reply 2 is better, so {"best": 2}.': 1,
    '{"best": "2"}': 1,
    '{"best": 0}': None,
    '{"best": 4}': None,
    '{"best": -1}': None,
    '{"best": 1.5}': None,
    '{"best": true}': None,
    '{"best": null}': None,
    '{"best": [1]}': None,
    '{"worst": 1}': None,
    '{"best": 1': None,
    "{best: 1}": None,
    "2": None,
    "": None,
    None: None,
    "{}": None,
    "[]": None,
    '{"best": 99999999999999999999}': None,
}


@pytest.mark.parametrize("text", CHOICES)
def test_what_a_judge_writes(text):
    assert read_choice(text, 3) == CHOICES[text]


@pytest.mark.parametrize(
    "text",
    [
        'Reply {1} says {"a": 1}. My choice: {"best": 2}',  # braces of the replies that it quotes
        '<think>perhaps {"best": 1}</think>{"best": 2}',
        '{"reason": "it holds {x}", "best": 2}',
        '{"best": 2, "why": {"short": true}}',
        '{"best": 2,}',
        '{"Best": 2}',
        '{"best": 2.0}',
    ],
)
def test_what_a_judge_writes_around_its_choice_is_passed_over(text):
    assert read_choice(text, 3) == 1


@given(st.text(max_size=40), st.integers(1, 5))
def test_nothing_that_a_judge_writes_raises(text, count):
    found = read_choice(text, count)
    assert found is None or 0 <= found < count
