"""The prompts that a teacher gets, the parts of its replies, and the texts that the student learns."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.tasks import TASKS, Reading, get_task

USER = {"role": "user", "content": 'Premise: {"reason"} Ana sleeps.\nHypothesis: Ana is at home.  '}
SYSTEM = {"role": "system", "content": "A claim is 'neutral' where the note is silent. {braces} stay."}
INTENTS = ["card_arrival", 'say "hi"?', "Überweisung"]
THOUGHTFUL = {"nli": "answer_choice", "classification": "answer_choice", "qa": "answer", "math": "answer"}
PROMPTINGS = ("plain", "chain_of_thought", "chain_of_density")


def test_which_task_supports_which_prompting():
    known = {name: set(task.promptings) - {"plain"} for name, task in TASKS.items()}
    assert known == {
        **{name: {"chain_of_thought"} for name in THOUGHTFUL},
        "summarization": {"chain_of_density"},
        "conversation": set(),
    }
    assert all("plain" in task.promptings for task in TASKS.values())


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("prompting", PROMPTINGS)
def test_a_prompting_that_the_task_does_not_support_is_plain(name, prompting):
    task = get_task(name)
    if prompting != "plain" and prompting in task.promptings:
        assert task.prompting_for(prompting) == prompting
        return
    assert task.prompting_for(prompting) == "plain"
    assert task.ask([SYSTEM, USER], prompting, labels=INTENTS, summary_words=50) == [SYSTEM, USER]
    assert task.response_format(prompting) is None
    text = {"nli": "neutral", "math": "12"}.get(name, "some words")
    assert task.read(text, prompting, None) == Reading(task.parse(text, None), None)


@pytest.mark.parametrize(("name", "key"), THOUGHTFUL.items())
def test_a_chain_of_thought_names_its_keys_and_keeps_the_users_words(name, key):
    messages = [SYSTEM, USER]
    system, user = get_task(name).ask(messages, "chain_of_thought", labels=INTENTS)
    assert user == USER
    assert system["role"] == "system"
    assert f'{{"reason": "...", "{key}": "..."}}' in system["content"]
    assert SYSTEM["content"] in system["content"]
    assert messages == [SYSTEM, USER]


@pytest.mark.parametrize(("name", "key"), THOUGHTFUL.items())
def test_a_row_without_a_system_message_gets_one(name, key):
    system, user = get_task(name).ask([USER], "chain_of_thought")
    assert (system["role"], user) == ("system", USER)
    assert "<instructions>" not in system["content"]
    assert f'"{key}"' in system["content"]


def test_a_prompt_names_the_labels_of_tasks_with_labels_only():
    def prompt(name, labels):
        return get_task(name).ask([USER], "chain_of_thought", labels=labels)[0]["content"]

    for label in INTENTS:
        assert json.dumps(label, ensure_ascii=False) in prompt("classification", INTENTS)
        assert json.dumps(label, ensure_ascii=False) not in prompt("qa", INTENTS)
        assert json.dumps(label, ensure_ascii=False) not in prompt("math", INTENTS)
    assert all(f'"{label}"' in prompt("nli", None) for label in ("entailment", "neutral", "contradiction"))
    assert '"entailment"' not in prompt("nli", ["yes", "no"])
    assert "the label alone" in prompt("classification", None)
    assert "a plain number" in prompt("math", None)


def test_the_same_user_text_with_different_system_messages_is_asked_differently():
    """Azure drops the row's system message, which makes both rows the same request."""
    other = {"role": "system", "content": "Answer for a child."}
    for name in THOUGHTFUL:
        task = get_task(name)
        assert task.ask([SYSTEM, USER], "chain_of_thought") != task.ask([other, USER], "chain_of_thought")


def test_chain_of_density_asks_for_four_rounds_of_the_length():
    system, user = get_task("summarization").ask([SYSTEM, USER], "chain_of_density", summary_words=47)
    assert user == USER
    for words in ("Missing_Entities", "Denser_Summary", "4 rounds", "about 47 words", SYSTEM["content"]):
        assert words in system["content"]
    assert "about 80 words" in get_task("summarization").ask([USER], "chain_of_density")[0]["content"]


def strict_objects(schema):
    """Every object schema in a schema: OpenAI's strict mode wants all keys required, and no others."""
    if schema["type"] == "array":
        return strict_objects(schema["items"])
    if schema["type"] != "object":
        return []
    return [schema, *(found for inner in schema["properties"].values() for found in strict_objects(inner))]


@pytest.mark.parametrize(
    ("name", "prompting", "reply"),
    [
        *((name, "chain_of_thought", {"reason": "so", key: "x"}) for name, key in THOUGHTFUL.items()),
        ("summarization", "chain_of_density", {"summaries": [{"Missing_Entities": "a", "Denser_Summary": "b"}]}),
    ],
)
def test_the_response_format_is_a_strict_schema_of_the_reply(name, prompting, reply):
    from jsonschema import ValidationError, validate

    form = get_task(name).response_format(prompting)
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["name"] == name
    schema = form["json_schema"]["schema"]
    validate(reply, schema)
    with pytest.raises(ValidationError):
        validate({**reply, "more": 1}, schema)
    for found in strict_objects(schema):
        assert found["additionalProperties"] is False
        assert set(found["required"]) == set(found["properties"])


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
        for prompting in PROMPTINGS:
            for text in (deep, deep + "1" + "}" * 5000, "\0", "{" * 99, "```", '{"reason": NaN, "answer": Infinity}'):
                get_task(name).read(text, prompting, INTENTS)


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
    labels = INTENTS if name == "classification" else None
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
    labels = {"classification": INTENTS, "nli": ["neutral", "card_arrival", "12"]}.get(name) if labelled else None
    plain = {"nli": "neutral", "classification": "card_arrival", "math": "-0.5"}.get(name, "some words")
    answer = task.parse(text, labels) or plain
    for learn in ("answer", "reasoning_and_answer"):
        assert task.parse(task.teach(answer, reasoning, learn), labels) == answer


@pytest.mark.parametrize("label", INTENTS)
@given(reasoning=PROSE)
def test_the_parser_finds_every_label_in_what_the_student_learns(label, reasoning):
    for name in ("classification", "nli"):
        task = get_task(name)
        assert task.parse(task.teach(label, reasoning, "reasoning_and_answer"), INTENTS) == label
