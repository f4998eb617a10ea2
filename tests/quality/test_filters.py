"""Row filters give bad answers their reason, and good answers none."""

import pytest

from distill_dagster.quality.filters.row_filters import Candidate, first_reason
from distill_dagster.redaction import find, redact
from distill_dagster.tasks import get_task


def reason(
    text,
    task="qa",
    labels=None,
    reference=(),
    gold_agreement=False,
    prompting="plain",
    learn="answer",
    asked=(),
    refuse_personal_data=False,
    **teacher,
):
    kind = get_task(task)
    row = {"raw_text": text, "status": "ok", "finish_reason": "stop", **teacher}
    prompting = kind.prompting_for(prompting)
    needed = learn == "reasoning_and_answer" and prompting == "chain_of_thought"
    reading = kind.read(text or "", prompting, labels)
    raw = {"messages": [{"role": "user", "content": message} for message in asked]}
    return first_reason(
        Candidate(raw, row, kind, labels, list(reference), reading, gold_agreement, needed, refuse_personal_data)
    )


@pytest.mark.parametrize(
    ("text", "options", "slug"),
    [
        (None, {"status": "failed", "finish_reason": "error"}, "failed"),
        ("neutral", {"task": "nli", "finish_reason": "length"}, "truncated"),
        ("neutral", {"task": "nli", "finish_reason": "content_filter"}, "unfinished"),
        ("  \n", {}, "empty"),
        (None, {}, "empty"),
        ("None.", {}, "placeholder"),
        ("N/A", {"task": "conversation"}, "placeholder"),
        ("null", {"task": "classification"}, "placeholder"),
        ("I'm sorry, but I can't help with that.", {}, "refusal"),
        ("I’m sorry, but I cannot assist you with this request.", {"task": "conversation"}, "refusal"),
        ("As an AI language model, I do not know", {}, "refusal"),
        ("I cannot assist with that. #### 4", {"task": "math"}, "refusal"),
        ("perhaps", {"task": "nli"}, "off_form"),
        ("many", {"task": "math"}, "off_form"),
        ("refund", {"task": "classification", "labels": ["card"]}, "off_form"),
        ("4", {"task": "math", "reference": ["5"], "gold_agreement": True}, "gold_disagreement"),
    ],
)
def test_each_reason(text, options, slug):
    assert reason(text, **options) == slug


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Label: neutral.", {"task": "nli"}),
        ("none", {"task": "classification", "labels": ["none", "some"]}),
        ("None", {"reference": ["none"]}),
        ("I'm sorry, but the table is taken. Shall I try 8 pm?", {"task": "conversation"}),
        ("Sorry, I could not find a restaurant there.", {"task": "conversation"}),
        ("I can't help you find a taxi, shall I look for a bus?", {"task": "conversation"}),
        ("4", {"task": "math", "reference": ["5"]}),
        ("4", {"task": "math", "gold_agreement": True}),
        ("dogs", {"task": "summarization", "reference": ["cats"], "gold_agreement": True}),
    ],
)
def test_good_answers_have_no_reason(text, options):
    assert reason(text, **options) is None


JSON = {"task": "nli", "prompting": "chain_of_thought"}
RECONSIDERED = {**JSON, "learn": "reasoning_and_answer"}


@pytest.mark.parametrize(
    ("text", "options", "slug"),
    [
        ('{"reason": "r", "answer_choice": "neutral"}', {**JSON, "finish_reason": "length"}, "truncated"),
        ('{"reason": "r", "answer_choice": null}', JSON, "empty"),
        ('{"reason": "r", "answer_choice": "None"}', JSON, "placeholder"),
        ('{"reason": "r", "answer": "N/A"}', {**JSON, "task": "qa"}, "placeholder"),
        ('{"reason": "r", "answer_choice": "I\'m sorry, but I can\'t help with that."}', JSON, "refusal"),
        ("I'm sorry, but I can't help with that.", JSON, "refusal"),
        ('{"reason": "I cannot help but agree.", "answer_choice": "perhaps"}', JSON, "off_form"),
        ("neutral", JSON, "off_form"),
        ('{"reason": "r", "answer_choice": "neu', JSON, "off_form"),
        ('{"answer_choice": "neutral"}', RECONSIDERED, "no_reasoning"),
        ('{"reason": " ", "answer_choice": "neutral"}', RECONSIDERED, "no_reasoning"),
        (
            '{"reason": "r", "answer_choice": "neutral"}',
            {**JSON, "reference": ["entailment"], "gold_agreement": True},
            "gold_disagreement",
        ),
        ("<think>I am done.</think>", {}, "empty"),
        ("<think>They ask for help.</think>I'm sorry, but I can't help with that.", {}, "refusal"),
        ("<think>Nothing fits.</think> None", {"task": "conversation"}, "placeholder"),
    ],
)
def test_each_reason_where_the_answer_stands_in_json_or_behind_thoughts(text, options, slug):
    assert reason(text, **options) == slug


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ('{"reason": "I\'m sorry, but I can\'t help to see it.", "answer_choice": "neutral"}', JSON),
        ('{"reason": "none", "answer_choice": "neutral"}', RECONSIDERED),
        ('{"answer_choice": "neutral"}', JSON),
        ('{"reason": "r", "answer": "None"}', {**JSON, "task": "qa", "reference": ["none"]}),
        ("<think>I'm sorry, but as an AI I have to think.</think>Paris", {}),
        ("Good evening!", {**RECONSIDERED, "task": "conversation"}),
    ],
)
def test_good_answers_in_json_or_behind_thoughts_have_no_reason(text, options):
    assert reason(text, **options) is None


PROBLEM = "Ana has 3 pens and buys 4 more of them today. How many pens has she now?"
TALK = {"task": "conversation"}
PERSONAL = {**TALK, "refuse_personal_data": True}


@pytest.mark.parametrize(
    ("text", "options", "slug"),
    [
        ("I do. I do. I do.  I do. 4", {"task": "math"}, "repetition"),
        ("and so\nand so\nAnd so\nand  so\n#### 4", {"task": "math"}, "repetition"),
        (PROBLEM, {"task": "math", "asked": [PROBLEM]}, "echo"),
        (PROBLEM.upper() + " Please!", {**TALK, "asked": [PROBLEM]}, "echo"),
        ("Well, as an AI language model, I have no pens.", TALK, "self_reference"),
        ("Well, I'm just a language model, so 7.", TALK, "self_reference"),
        ("That is after my knowledge cutoff.", TALK, "self_reference"),
        ('{"reason": "As an AI, I see none.", "answer_choice": "neutral"}', RECONSIDERED, "self_reference"),
        ("Write to ana@example.org for it.", PERSONAL, "personal_data"),
        ("Gladly.", {**PERSONAL, "asked": ["My card is 4111 1111 1111 1111, is it?"]}, "personal_data"),
    ],
)
def test_each_reason_of_a_degenerate_answer(text, options, slug):
    assert reason(text, **options) == slug


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("2 a day. 2 a day. 2 a day. So 6.", {"task": "math"}),
        ("Day 1: 2.\nDay 2: 2.\nDay 3: 2.\nDay 4: 2.\n#### 8", {"task": "math"}),
        ("---\n---\n---\n---\nTotal: 8", {"task": "math"}),
        (f"{PROBLEM} It is 7.", {"task": "math", "asked": [PROBLEM]}),
        ("Good morning!", {**TALK, "asked": ["Good morning"]}),
        ("He was born in Ulm in 1879.", {"asked": ["Passage: A man. He was born in Ulm in 1879. Where was he born?"]}),
        ("where is my new card now", {"task": "classification", "asked": ["Where is my new card now?"]}),
        ("GPT reads tokens, as an AI language model does.", {**TALK, "asked": ["What does an LLM read?"]}),
        ("ChatGPT works as an AI language model.", {"task": "summarization", "asked": ["An essay on chatbots."]}),
        ("She started as an AI engineer.", TALK),
        ('{"reason": "As an AI, I see none.", "answer_choice": "neutral"}', JSON),
        ("Write to ana@example.org for it.", TALK),
        ("Call 4111 1111 1111 1112 or wait until 12-05-2024 at 10.30.", PERSONAL),
    ],
)
def test_good_answers_are_no_loops_echoes_or_confessions(text, options):
    assert reason(text, **options) is None


def test_what_is_found_is_redacted_and_nothing_else():
    text = "Ask ana@example.org, key sk-abcdefghijklmnopqrstuvwx, about order 12345."
    assert [text[a:b] for _, a, b in find(text)] == ["ana@example.org", "sk-abcdefghijklmnopqrstuvwx"]
    redacted = redact(text)
    assert "ana" not in redacted
    assert "sk-" not in redacted
    assert redacted.endswith("about order 12345.")
    assert redact("Nothing in 2024.") == "Nothing in 2024."


@pytest.mark.parametrize("text", ["Das mache ich nicht.", "できません。", "", "4"])
def test_a_refusal_of_the_server_is_one_in_any_language(text):
    assert reason(text, finish_reason="refusal", task="conversation") == "refusal"


@pytest.mark.parametrize(
    ("word", "slug"), [("eos", None), ("MAX_TOKENS", "truncated"), ("SAFETY", "unfinished"), ("banana", "unfinished")]
)
def test_the_words_for_the_end_mean_the_same_in_tables_of_before(word, slug):
    assert reason("Paris", finish_reason=word, task="conversation") == slug
