"""Row filters: one reason each, and none for good answers."""

import pytest

from distill_dagster.quality.filters import Candidate, first_reason
from distill_dagster.tasks import get_task


def reason(
    text, task="qa", labels=None, reference=(), gold_agreement=False, prompting="plain", learn="answer", **teacher
):
    kind = get_task(task)
    row = {"raw_text": text, "status": "ok", "finish_reason": "stop", **teacher}
    prompting = kind.prompting_for(prompting)
    needed = learn == "reasoning_and_answer" and prompting == "chain_of_thought"
    reading = kind.read(text or "", prompting, labels)
    return first_reason(Candidate({}, row, kind, labels, list(reference), reading, gold_agreement, needed))


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
