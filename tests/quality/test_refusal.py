"""Refusals in thirteen languages are caught, and right answers that begin like them are not."""

import pytest

from distill_dagster.quality.filters.refusal import declines, refusal_table
from tests.quality.refusal_texts import REFUSED, RIGHT
from tests.quality.test_filters import reason


def test_every_language_of_the_table_has_refusals_and_right_answers():
    assert set(refusal_table()) == set(REFUSED) == set(RIGHT)
    assert len(REFUSED) == 13


@pytest.mark.parametrize("text", [text for texts in REFUSED.values() for text in texts])
def test_a_refusal_is_refused(text):
    assert reason(text, task="conversation") == "refusal"
    assert reason(text, task="qa") == "refusal"


@pytest.mark.parametrize("text", [text for texts in RIGHT.values() for text in texts])
def test_a_right_answer_that_begins_like_one_is_kept(text):
    assert not declines(text)
    assert reason(text, task="conversation") is None


def test_a_refusal_in_json_or_behind_a_mark_is_found():
    assert (
        reason('{"reason": "r", "answer": "Lo siento, pero no puedo ayudarte con eso."}', prompting="chain_of_thought")
        == "refusal"
    )
    assert reason("So.\n\nAnswer: 抱歉，我无法回答这个问题。") == "refusal"
    assert reason("**Answer:** N/A") == "placeholder"
