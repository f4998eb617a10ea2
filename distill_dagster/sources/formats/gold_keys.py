"""The gold answer of a row under one of the names that data sets give it.

    {"question": "Who?", "answers": {"text": ["Ann", "Ann"]}}                          gold "Ann"
    {"question": "Who?", "answers": ["Ann", "Ann B."]}                                 gold "Ann" and "Ann B."
    {"question": "Capital?", "answers": ["Paris", "London"], "answer": "Paris"}        E018: no message lists them
    {"question": "Capital?", "answers": ["Paris", "London"], "label": 0}               E018: counted from 0, or from 1?

A list of answers beside a key that names the right one is a list of choices, and the others are wrong. The first
key that holds an answer counts; the others stay in `meta`.
"""

from collections.abc import Iterator
from typing import Any

from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.copies import are_all_turns, are_listed, texts_of
from distill_dagster.sources.formats.key_readers import differs, message_of, role_in, take
from distill_dagster.sources.formats.key_table import has_choices
from distill_dagster.sources.formats.turns import is_empty, plain_key

VERDICTS = frozenset({"correct", "iscorrect", "iscorrectanswer", "isanswer", "right", "label"})


def read_answer(draft: Draft, key: str, value: Any) -> None:
    """The gold answer of a row that has none; the first such key counts, and the others stay in meta."""
    if has_gold(draft):
        return
    if _is_index(draft, value):
        draft.faults.append(_undecided(key, value))
    elif isinstance(turns := _turns(value), list):
        if are_all_turns(draft, turns[:-1]) or len(turns) == 1:
            draft.messages = [*draft.messages, turns[-1]]
            take(draft, key)
        else:
            draft.faults.append(differs(draft, key))
    elif golds := _golds(value):
        draft.reference = golds
        take(draft, key)


def read_answers(draft: Draft, key: str, value: Any) -> None:
    """Several gold answers; choices, where another key names the right one."""
    if not has_gold(draft) and not _has_verdicts(value):
        read_answer(draft, key, value)
    elif not _is_spans(value) and set(_folded(value)) - set(_gold_texts(draft)) and not are_listed(draft, value):
        draft.faults.append(
            (
                "E018",
                f"`{key}` holds more than the gold answer: if these are choices, put them into `{draft.key}` and the "
                "right one into `reference`; if all are right, write them as `reference`; if they change nothing, "
                "name the key in data.meta_keys",
            )
        )


def read_label(draft: Draft, key: str, value: Any) -> None:
    """A class that is a text is a gold answer. False on an answer says that a person disliked it, so it is none."""
    if value is False:
        if role_in(draft.messages[-1]) == "assistant":
            draft.not_gold.add(len(draft.messages) - 1)
    else:
        read_pointer(draft, key, value)


def read_pointer(draft: Draft, key: str, value: Any) -> None:
    """A text is a gold answer. A number is a place in a list of choices, or says something else about the row."""
    if isinstance(value, str):
        read_answer(draft, key, value)
    elif _is_index(draft, value) and not has_gold(draft):
        draft.faults.append(_undecided(key, value))


def has_gold(draft: Draft) -> bool:
    """Whether the row has a gold answer already."""
    return draft.reference is not None or role_in(draft.messages[-1]) == "assistant"


def _is_index(draft: Draft, value: Any) -> bool:
    """Whether `value` is a number beside a list of choices: it may be a place in the list."""
    return isinstance(value, int) and not isinstance(value, bool) and has_choices(draft.meta or {})


def _undecided(key: str, value: Any) -> tuple[str, str]:
    return (
        "E018",
        f"`{key}` is the number {value} beside a list of choices, which may be counted from 0 or from 1: write the "
        "right answer's text as `reference`",
    )


def _turns(value: Any) -> list[dict[str, Any]] | None:
    """The messages that an answer key holds and that end with the answer: a text, a message, or messages."""
    if isinstance(value, str):
        return [{"role": "assistant", "content": value}]
    turns = [message_of(item) for item in value] if isinstance(value, list) else [message_of(value)]
    read = [turn for turn in turns if turn is not None]
    return read if read and len(read) == len(turns) and read[-1]["role"] == "assistant" else None


def _is_spans(value: Any) -> bool:
    """Whether it is SQuAD's object of answers, with or without their places in the context."""
    return isinstance(value, dict) and "text" in value and "label" not in value


def _golds(value: Any) -> list[Any]:
    """Several gold answers, or one that is a number; SQuAD and TriviaQA keep them in an object."""
    if isinstance(value, dict):
        value = [value["value"], *(value.get("aliases") or [])] if "value" in value else value.get("text")
    values = [_text_of(one) for one in value] if isinstance(value, list) else [value]
    are_answers = all(isinstance(gold, str | int | float) and not isinstance(gold, bool) for gold in values)
    return list(dict.fromkeys(gold for gold in values if not is_empty(gold) or gold == 0)) if are_answers else []


def _text_of(answer: Any) -> Any:
    """The text of one of several answers that are objects, as in CoQA."""
    return answer["text"] if isinstance(answer, dict) and "text" in answer else answer


def _has_verdicts(value: Any) -> bool:
    """Whether it is a list of answers that say whether they are right."""
    items = value if isinstance(value, list) else []
    return any(VERDICTS & set(map(plain_key, item)) for item in items if isinstance(item, dict))


def _gold_texts(draft: Draft) -> Iterator[str]:
    yield from _folded(draft.messages[-1] if role_in(draft.messages[-1]) == "assistant" else None)
    yield from _folded(draft.reference)


def _folded(value: Any) -> Iterator[str]:
    return (text.strip().casefold() for text in texts_of(value))
