"""The parts of a teacher's reply: its answer and its reasoning."""

import json
from typing import get_args

import pytest

from distill_dagster.tasks import TASKS, Reading, get_task
from distill_dagster.tasks.options import Prompting
from tests.tasks.label_texts import ODD_INTENTS

NLI_REPLIES = [
    ('{"reason": "It says so.", "answer_choice": "Entailment."}', "entailment", "It says so."),
    ('```json\n{"reason": "r", "answer_choice": "neutral"}\n```', "neutral", "r"),
    ('Here:\n{"Reason": "r", "Answer Choice": "neutral",} Done.', "neutral", "r"),
    ("{'reason': 'It's open.', 'answer_choice': 'neutral'}", "neutral", "It's open."),
    ('{"reason": "r", "answer": "neutral"}', "neutral", "r"),
    ('{"reason": ["one", "two"], "answer_choice": "neutral"}', "neutral", "one\ntwo"),
    ('[{"reason": "r", "answer_choice": "neutral"}]', "neutral", "r"),
    ('{"reason": "draft", "answer_choice": "contradiction"}\n{"reason": "r", "answer": "neutral"}', "neutral", "r"),
    ('{"answer_choice": "neutral"}', "neutral", None),
    ('{"reason": null, "answer_choice": "neutral"}', "neutral", None),
    ('<think>\nhm\n</think>\n{"reason": "r", "answer_choice": "neutral"}', "neutral", "r"),
    ('<think>{"answer": "entailment"}</think>{"answer": "neutral"}', "neutral", '{"answer": "entailment"}'),
    ('{"reason": "no entailment", "answer_choice": "neutral"}', "neutral", "no entailment"),
    ('{"reason": "r", "answer_choice": null}', None, "r"),
    ('{"reason": "r", "answer_choice": None}', None, "r"),
    ('{"reason": "r", "answer_choice": "None"}', None, "r"),
    ('{"reason": "r", "answer_choice": ["neutral", "entailment"]}', None, None),
    ('{"reason": "r", "answer_choice": "neutral or entailment"}', None, "r"),
    ('{"reason": "r"}', None, None),
    ('{"reason": "r", "answer_choice": "neu', None, None),
    ('{"reason": "r", "answer_choice": "neutral"', None, None),
    ('{"answer_choice": "neutral", "reason": "bec', None, None),
    ("neutral", None, None),
    ("<think>It never ends: neutral", None, "It never ends: neutral"),
    ("", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "answer", "reasoning"), NLI_REPLIES)
def test_reading_a_chain_of_thought(text, answer, reasoning):
    assert get_task("nli").read(text, "chain_of_thought", None) == Reading(answer, reasoning)


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("math", "18", "18"),
        ("math", '"$1,200.50"', "1200.5"),
        ("math", "0.10", "0.1"),
        ("math", "1,200", "1200"),
        ("math", "1/3", "1/3"),
        ("math", r'"\frac{1}{2}"', "0.5"),
        ("math", "12345678901234567890", "12345678901234567890"),
        ("math", "null", None),
        ("math", "[3, 5]", None),
        ("math", '"twelve"', None),
        ("qa", '"The Eiffel Tower"', "The Eiffel Tower"),
        ("qa", "1889", "1889"),
        ("qa", "true", "true"),
        ("qa", "null", None),
        ("qa", '" "', None),
        ("qa", '{"value": "x"}', None),
    ],
)
def test_reading_other_answers(name, value, answer):
    text = f'{{"reason": "so", "answer": {value}}}'
    assert get_task(name).read(text, "chain_of_thought", None).answer == answer


def rounds(*summaries):
    return [{"Missing_Entities": "a; b", "Denser_Summary": summary} for summary in summaries]


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"summaries": rounds("one", "two", "three", "four")}, "four"),
        (rounds("one", "two"), "two"),
        (rounds("one")[0], "one"),
        ({f"round {n}": part for n, part in enumerate(rounds("one", "two"))}, "two"),
        ({"summaries": [{"missing entities": "a", "denser summary": " two "}]}, "two"),
        ({"summaries": rounds("one", None)}, None),
        ({"summaries": []}, None),
        ({"summaries": rounds("one", {"text": "two"})}, None),
    ],
)
def test_reading_a_chain_of_density_keeps_the_last_round(value, answer):
    text = json.dumps(value)
    assert get_task("summarization").read(text, "chain_of_density", None) == Reading(answer, None)
    assert get_task("summarization").read(text[:-1], "chain_of_density", None).answer is None


def test_rounds_may_come_one_object_a_line():
    text = "\n".join(map(json.dumps, rounds("one", "two")))
    assert get_task("summarization").read(text, "chain_of_density", None).answer == "two"


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("<think>\nhm\n</think>\n\nParis", "Paris", "hm"),
        ("<THINKING>hm</THINKING>Paris", "Paris", "hm"),
        ("The template opened it.\n</think>\nParis", "Paris", "The template opened it."),
        ("<think></think>Paris", "Paris", None),
        ("<think>hm</think>", None, "hm"),
        ("<think>hm, Paris", None, "hm, Paris"),
        ("Close it with </think>, then go on", "Close it with </think>, then go on", None),
        ("Use <think> to begin", "Use <think> to begin", None),
    ],
)
def test_thoughts_before_a_plain_answer_are_its_reasoning(text, answer, reasoning):
    assert get_task("qa").read(text, "plain", None) == Reading(answer, reasoning)
    assert get_task("conversation").read(text, "plain", None) == Reading(answer, reasoning)


def test_no_reply_makes_reading_raise():
    deep = '{"answer":' * 5000
    for name in TASKS:
        for prompting in get_args(Prompting):
            for text in (deep, deep + "1" + "}" * 5000, "\0", "{" * 99, "```", '{"reason": NaN, "answer": Infinity}'):
                get_task(name).read(text, prompting, ODD_INTENTS)
