"""Keys beside a question: choices under any name, other names of its parts, and turns that are not learned."""

import json
import re

import pytest

from testing.source_rows import a, gpt, judge, s, u

FOUR = ("Mars", "Jupiter", "Venus", "Earth")


def under(*keys):
    return dict(zip(keys, FOUR, strict=False))


SERIES = {
    "MMLU, C-Eval, CMMLU": under("A", "B", "C", "D"),
    "option_a": under("option_a", "option_b", "option_c", "option_d"),
    "optionA": under("optionA", "optionB", "optionC", "optionD"),
    "MedMCQA": under("opa", "opb", "opc", "opd"),
    "Winogrande": under("option1", "option2"),
    "COPA": under("choice1", "choice2"),
    "SWAG": under("ending0", "ending1", "ending2", "ending3"),
    "PIQA": under("sol1", "sol2"),
    "Social IQA": under("answerA", "answerB", "answerC"),
    "with blanks": under("Option A", "Option B"),
    "in brackets": under("(a)", "(b)"),
    "by number": under("1", "2", "3", "4"),
    "numbers": {"A": 3, "B": 5},
    "an empty fifth one": {**under("A", "B", "C", "D"), "E": ""},
}
LISTS = (
    *("candidates", "endings", "answer_choices", "possible_answers", "alternatives", "multiple_choice", "Options"),
    *("answerOptions", "multiple_choice_options", "candidate_answers", "mcq_options", "possible_labels"),
)


@pytest.mark.parametrize("name", SERIES)
def test_choices_with_a_key_each_are_refused_unless_the_question_lists_them(tmp_path, name):
    choices = SERIES[name]
    rows, (reject,) = judge(tmp_path, {"question": "Which is the largest?", **choices, "answer": "B"})
    assert not rows
    assert reject["code"] == "E018"
    assert re.search(r"hold choices that `question` does not list.*data\.meta_keys", reject["message"])
    listed = " ".join(f"{key}) {text}" for key, text in choices.items())
    (found,), rejects = judge(tmp_path, {"question": f"Which? {listed}", **choices, "answer": "B"})
    assert not rejects
    assert (found["reference"], json.loads(found["meta"])) == (["B"], choices)
    (found,), _ = judge(tmp_path, {"question": "q", **choices}, meta_keys=list(choices))
    assert json.loads(found["meta"]) == choices


@pytest.mark.parametrize("key", LISTS)
def test_choices_under_any_name_are_refused_unless_the_question_lists_them(tmp_path, key):
    _, (reject,) = judge(tmp_path, {"question": "Which?", key: list(FOUR), "answer": "B"})
    assert (reject["code"], f"`{key}`" in reject["message"]) == ("E018", True)
    (found,), _ = judge(tmp_path, {"question": f"Which? {', '.join(FOUR)}", key: list(FOUR), "answer": "Mars"})
    assert found["reference"] == ["Mars"]


def test_numbers_under_single_letters_are_no_choices(tmp_path):
    row = {"a": 1, "b": 2, "1": 0.5, "2": 0.5}
    (found,), _ = judge(tmp_path, {"question": "q", **row})
    assert json.loads(found["meta"]) == row


def test_a_number_beside_choices_with_a_key_each_is_no_gold_answer(tmp_path):
    row = {"question": "Mars or Jupiter?", "opa": "Mars", "opb": "Jupiter", "cop": 1}
    _, (reject,) = judge(tmp_path, row)
    assert "`cop` is the number 1 beside a list of choices" in reject["message"]


COPIES = {
    **dict.fromkeys(("definition", "task_description", "Definition", "guidelines", "docs", "chunks", "excerpt"), "x"),
    **dict.fromkeys(("source_text", "body", "abstract", "ctx", "retrieved_docs", "gold_context", "article_text"), "x"),
    **dict.fromkeys(("context_1", "document_2", "text_b", "textB", "sentence3", "question2", "personality"), "x"),
    "ctxs": [{"title": "T", "text": "x"}],
    "positive_ctxs": [{"title": "T", "text": "x"}],
    "supporting_documents": {"1": "x"},
    "imageId": 5,
    **dict.fromkeys(("image_base64", "img", "imageUrls", "picture", "image_1", "image_id", "input_image"), "x"),
    **{key: ["x"] for key in ("attachments", "files", "available_tools", "tool_definitions", "toolsJson")},
    **dict.fromkeys(("dialogue_history", "dialog_history", "past", "past_messages", "prior_turns", "chat_log"), "x"),
}


@pytest.mark.parametrize("key", COPIES)
def test_a_part_of_the_question_under_another_name_is_refused(tmp_path, key):
    rows, (reject,) = judge(tmp_path, {"question": "Who?", key: COPIES[key]})
    assert not rows
    assert reject["code"] in ("E017", "E018")
    assert re.search(rf"`{key}`.*(?:data\.meta_keys)", reject["message"])


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"question": "Who?", "system_msg": "S"}, [s("S"), u("Who?")]),
        ({"question": "Who? x", "docs": ["x"]}, [u("Who? x")]),
        ({"question": "Who?\n\nAnn left.", "ctxs": [{"title": "T", "text": "Ann left."}]}, None),
    ],
)
def test_other_names_are_read_where_that_is_right(tmp_path, row, messages):
    (found,), rejects = judge(tmp_path, row)
    assert not rejects
    assert found["messages"] == (messages or [u(row["question"])])


@pytest.mark.parametrize("key", ["dialogue_history", "past", "priorTurns", "chat_log", "past_messages"])
def test_the_history_under_another_name_precedes_the_question(tmp_path, key):
    (found,), _ = judge(tmp_path, {"prompt": "q", "completion": "b", key: [["p", "a"]]}, "conversation")
    assert found["messages"] == [u("p"), a("a"), u("q"), a("b")]


@pytest.mark.parametrize("key", ["final_answer", "finalAnswer", "solution", "gold_label", "answer_text"])
def test_the_gold_answer_under_another_name(tmp_path, key):
    (found,), _ = judge(tmp_path, {"question": "q", key: "a"})
    assert found["reference"] == ["a"]
    (found,), _ = judge(tmp_path, {"question": "q", "answer": "b", key: "a"})
    assert found["reference"] == ["b"], "`answer` comes first"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("num_choices", 4), ("docs_count", 3), ("has_context", True), ("image_count", 0), ("file", "a.pdf")),
        *(("A", "x"), ("option_b", "x"), ("a", 1), ("version", "2"), ("hard_negative_ctxs", [{"text": "x"}])),
        *(("question_id", "q1"), ("answer_id", "a1"), ("context_length", 9), ("step_1", "x"), ("codec", "x")),
    ],
)
def test_what_only_looks_like_a_part_of_the_question_is_kept(tmp_path, key, value):
    (found,), _ = judge(tmp_path, {"messages": [u("q")], key: value})
    assert json.loads(found["meta"]) == {key: value}


@pytest.mark.parametrize(
    "mark",
    [
        *({"train_on_turn": False}, {"loss_weight": 0}, {"masked": True}, {"trainOnTurn": "false"}, {"ignore": 1}),
        *({"loss_mask": 0}, {"is_masked": "true"}, {"exclude_from_loss": True}),
    ],
)
def test_a_turn_that_is_not_to_be_learned_is_no_gold_answer(tmp_path, mark):
    (found,), _ = judge(tmp_path, {"messages": [u("q"), a("bad", **mark), u("r"), a("a")]}, "conversation")
    assert found["not_gold"] == [1]
    (found,), _ = judge(tmp_path, {"messages": [u("q"), a("bad", **mark)]})
    assert found["reference"] == []


@pytest.mark.parametrize("mark", [{"masked": False}, {"loss_weight": 1}, {"ignore": 0}, {"masked": "no"}, {"skip": 1}])
def test_a_turn_that_is_to_be_learned_is_gold(tmp_path, mark):
    (found,), _ = judge(tmp_path, {"messages": [u("q"), a("a", **mark)]})
    assert found["reference"] == ["a"]


def test_a_mask_that_trainers_read_in_two_ways_is_refused(tmp_path):
    _, (reject,) = judge(tmp_path, {"messages": [u("q"), a("a", mask=1)]})
    assert (reject["code"], "`weight` 0" in reject["message"]) == ("E018", True)
    (found,), _ = judge(tmp_path, {"messages": [u("q"), a("a", mask=1)]}, meta_keys=["mask"])
    assert found["reference"] == ["a"]


@pytest.mark.parametrize("blank", ["", " \n", None, [], [{"type": "text", "text": ""}]])
def test_a_blank_answer_counts_as_none_in_every_format(tmp_path, blank):
    plain = None if isinstance(blank, list) else blank
    for row in (
        {"messages": [u("q"), a(blank)]},
        {"conversations": gpt(("human", "q"), ("gpt", blank))},
        {"prompt": [u("q")], "completion": [a(blank)]},
        {"messages": [u("q")], "reference": [plain]},
        {"prompt": "q", "completion": plain},
    ):
        (found,), rejects = judge(tmp_path, row)
        assert not rejects
        assert (found["messages"], found["reference"]) == ([u("q")], [])
    (found,), _ = judge(tmp_path, {"messages": [u("q"), a(blank)], "reference": ["a"]})
    assert found["reference"] == ["a"]


def test_an_answer_without_content_counts_as_none_and_one_under_another_name_is_refused(tmp_path):
    (found,), _ = judge(tmp_path, {"messages": [u("q"), {"role": "assistant"}]})
    assert (found["messages"], found["reference"]) == ([u("q")], [])
    _, (reject,) = judge(tmp_path, {"messages": [u("q"), {"role": "assistant", "text": "a"}]})
    assert reject["code"] == "E004"
    (found,), _ = judge(tmp_path, {"messages": [u("q"), a(None, refusal="No.")]})
    assert json.loads(found["meta"]) == {"assistant": {"refusal": "No."}}


def test_a_blank_turn_within_a_conversation_is_refused(tmp_path):
    _, (reject,) = judge(tmp_path, {"messages": [u("q"), a(""), u("r"), a("a")]}, "conversation")
    assert reject["code"] == "E010"
    _, (reject,) = judge(tmp_path, {"messages": [u(" "), a("a")]})
    assert reject["code"] == "E010"
