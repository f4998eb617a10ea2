"""Turns of a conversation: a history precedes the question, and a turn of weight 0 is context and no gold answer."""

import pytest

from distill_dagster.store.hashing import rows_hash
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.training.examples import gold_examples
from testing.source_rows import a, gpt, judge, s, u

HISTORY = [["April?", "12"], ["June?", "6"]]
TURNS = [u("April?"), a("12"), u("June?"), a("6"), u("May?"), a("13")]


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"instruction": "May?", "output": "13", "history": HISTORY, "system": "S"}, [s("S"), *TURNS]),
        ({"prompt": "May?", "response": "13", "chat_history": TURNS[:4]}, TURNS),
        ({"conversations": gpt(("human", "May?"), ("gpt", "13")), "system": "S"}, [s("S"), *TURNS[4:]]),
        ({"messages": [*TURNS], "history": HISTORY}, TURNS),
        ({"messages": [s("S"), *TURNS], "history": TURNS[:4]}, [s("S"), *TURNS]),
        (
            {"instruction": "Yes or no?", "history": [["Yes", "no"]], "output": "x"},
            [u("Yes"), a("no"), u("Yes or no?"), a("x")],
        ),
        ({"messages": TURNS[4:5], "response": "13"}, TURNS[4:]),
    ],
)
def test_the_history_of_a_conversation_precedes_the_question(tmp_path, row, messages):
    (found,), _ = judge(tmp_path, row, "conversation")
    assert found["messages"] == messages


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_turn_of_weight_0_in_a_conversation_is_context_and_no_gold_answer(tmp_path, split):
    row = {"messages": [s("S"), u("q"), a("bad", weight=0), u("r"), a("a", weight=1)]}
    (found,), rejects = judge(tmp_path, row, "conversation", split=split)
    assert not rejects
    assert [m["content"] for m in found["messages"]] == ["S", "q", "bad", "r", "a"]
    assert found["not_gold"] == [2]
    first, second = prompts_of(found)
    assert (first.reference, second.reference) == ([], ["a"])
    assert second.messages[2] == a("bad"), "the text that the user answered"
    ((example,), without) = gold_examples([found])
    assert without == 1
    assert (example["answer"], example["messages"]) == ("a", found["messages"][:4])


def test_places_of_turns_follow_a_system_message_and_a_history_that_precede_them(tmp_path):
    row = {"prompt": [u("q"), a("bad", weight=0)], "system": "S", "history": [["x", "y"]]}
    (found,), _ = judge(tmp_path, row, "conversation")
    assert [m["content"] for m in found["messages"]] == ["S", "x", "y", "q", "bad"]
    assert found["not_gold"] == [4]


def test_rows_that_differ_in_their_weights_alone_are_two_rows(tmp_path):
    messages = [u("q"), a("a"), u("r"), a("b")]
    hashes = set()
    for weights in ({}, {1: 0}, {3: 0}):
        turns = [{**m, "weight": weights.get(n, 1)} for n, m in enumerate(messages)]
        (found,), _ = judge(tmp_path, {"id": "1", "messages": turns}, "conversation")
        assert found["not_gold"] == (sorted(weights) or None)
        hashes.add(rows_hash([{**found, "meta": "{}"}]))
    assert len(hashes) == 3
    plain = {name: value for name, value in found.items() if name != "not_gold"}
    assert rows_hash([{**plain, "not_gold": None}]) == rows_hash([plain]), "a row of a store without the column"
