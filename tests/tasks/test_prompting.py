"""The prompts that a teacher gets, and the form that its reply must have."""

import json

import pytest

from distill_dagster.tasks import TASKS, Reading, get_task
from tests.tasks.label_texts import ODD_INTENTS

USER = {"role": "user", "content": 'Premise: {"reason"} Ana sleeps.\nHypothesis: Ana is at home.  '}
SYSTEM = {"role": "system", "content": "A claim is 'neutral' where the note is silent. {braces} stay."}
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
    assert task.ask([SYSTEM, USER], prompting, labels=ODD_INTENTS, summary_words=50) == [SYSTEM, USER]
    assert task.response_format(prompting) is None
    text = {"nli": "neutral", "math": "12"}.get(name, "some words")
    assert task.read(text, prompting, None) == Reading(task.parse(text, None), None)


@pytest.mark.parametrize(("name", "key"), THOUGHTFUL.items())
def test_a_chain_of_thought_names_its_keys_and_keeps_the_users_words(name, key):
    messages = [SYSTEM, USER]
    system, user = get_task(name).ask(messages, "chain_of_thought", labels=ODD_INTENTS)
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

    for label in ODD_INTENTS:
        assert json.dumps(label, ensure_ascii=False) in prompt("classification", ODD_INTENTS)
        assert json.dumps(label, ensure_ascii=False) not in prompt("qa", ODD_INTENTS)
        assert json.dumps(label, ensure_ascii=False) not in prompt("math", ODD_INTENTS)
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
