"""The prompts of a row: a gold answer is never part of the prompt that it answers."""

import pytest

from distill_dagster.tasks.prompts import prompts_of, with_replies

SYSTEM = {"role": "system", "content": "S"}


def turn(role, content):
    return {"role": role, "content": content}


DIALOGUE = {
    "task": "conversation",
    "reference": [],
    "messages": [SYSTEM, turn("user", "u1"), turn("assistant", "a1"), turn("user", "u2"), turn("assistant", "a2")],
}


def test_a_single_turn_row_has_one_prompt():
    row = {"task": "qa", "messages": [SYSTEM, turn("user", "q")], "reference": ["x", "y"]}
    (prompt,) = prompts_of(row)
    assert (prompt.turn, prompt.messages, prompt.reference) == (0, row["messages"], ["x", "y"])


def test_a_conversation_has_a_prompt_for_each_user_turn_with_the_gold_history():
    first, second = prompts_of(DIALOGUE)
    assert (first.messages, first.reference) == (DIALOGUE["messages"][:2], ["a1"])
    assert (second.turn, second.messages, second.reference) == (1, DIALOGUE["messages"][:4], ["a2"])


def test_a_blank_gold_turn_is_no_reference():
    row = {**DIALOGUE, "messages": [turn("user", "u1"), turn("assistant", " ")]}
    assert prompts_of(row)[0].reference == []


def test_replies_replace_the_gold_turns_and_leave_the_prompt_unchanged():
    second = prompts_of(DIALOGUE)[1]
    assert [m["content"] for m in with_replies(second, ["t1"])] == ["S", "u1", "t1", "u2"]
    assert second.messages[2]["content"] == "a1"
    with pytest.raises(AssertionError, match="follows 1 replies, got 0"):
        with_replies(second, [])
