"""How a key beside the messages is read, for each kind of key in the table of keys.py.

A reader takes the key out of `meta` if it has used it, leaves it there if the messages hold the same text, or adds a
fault: E017 for what is not text, E018 for what the messages do not say.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.turns import WAY_OUT, is_empty, joined, role_of

_CONTENT = ("content", "value", "text")
_PAIR = ("user", "assistant")


def _read_system(draft: Draft, key: str, value: Any) -> None:
    """The system message; the row may have it among its messages too, if the two are equal."""
    text, own = joined(value), _system(draft)
    if not isinstance(text, str):
        draft.faults.append(_not_text(key, value))
    elif own is None:
        _insert(draft, 0, [{"role": "system", "content": text}])
        _take(draft, key)
    elif str(own).strip() != text.strip():
        draft.faults.append(("E018", f"`{key}` and the system message before it differ; keep one of the two"))
    else:
        _take(draft, key)


def _read_context(draft: Draft, key: str, value: Any) -> None:
    """The text that a question is about: it follows the question, as Alpaca's `input` does."""
    asked = [message for message in draft.messages if _role(message) == "user"]
    if _is_copy(draft, value):
        return
    if not isinstance(value, str):
        draft.faults.append(_not_text(key, value))
    elif _has_turns(draft) or len(asked) != 1 or not isinstance(asked[0].get("content"), str):
        draft.faults.append(_differs(draft, key))
    else:
        asked[0]["content"] += f"\n\n{value}"
        _take(draft, key)


def _read_history(draft: Draft, key: str, value: Any) -> None:
    """Earlier turns, as [question, answer] pairs or as messages: they precede the question."""
    if _is_copy(draft, value):
        return
    turns = _turns(value)
    if turns is None:
        draft.faults.append(
            ("E017", f"`{key}` holds no [question, answer] pairs of text and no messages; write them so, or {WAY_OUT}")
        )
    elif _has_turns(draft):
        draft.faults.append(_differs(draft, key))
    else:
        _insert(draft, 0 if _system(draft) is None else 1, turns)
        _take(draft, key)


def _read_answer(draft: Draft, key: str, value: Any) -> None:
    """The gold answer of a row that has none; the first such key counts, and the others stay in meta."""
    if draft.reference is not None or _role(draft.messages[-1]) == "assistant":
        return
    turn = _answer_turn(draft, value)
    if turn is not None:
        draft.messages = [*draft.messages, turn]
        _take(draft, key)
    elif golds := _golds(value):
        draft.reference = golds
        _take(draft, key)


def read_verdict(draft: Draft, value: Any) -> None:
    """The row's answer is one that a person disliked (unpaired preference data), so it is no gold answer."""
    if value is False and _role(draft.messages[-1]) == "assistant":
        draft.not_gold.add(len(draft.messages) - 1)


def _read_copy(draft: Draft, key: str, value: Any) -> None:
    """Another format's question: a copy of what the messages say, or the row asks two things."""
    if not _is_copy(draft, value):
        draft.faults.append(_differs(draft, key))


READERS: dict[str, Callable[[Draft, str, Any], None]] = {
    "system": _read_system,
    "context": _read_context,
    "history": _read_history,
    "answer": _read_answer,
    "copy": _read_copy,
}


def _not_text(key: str, value: Any) -> tuple[str, str]:
    return "E017", f"`{key}` is a {type(value).__name__}, and only text is sent; write it as text, or {WAY_OUT}"


def _differs(draft: Draft, key: str) -> tuple[str, str]:
    return (
        "E018",
        f"`{key}` holds a text that `{draft.key}` does not, so it would not be sent: put it into `{draft.key}`, or "
        "name the key in data.meta_keys if it changes nothing",
    )


def _has_turns(draft: Draft) -> bool:
    return draft.key in ("messages", "conversations")


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _system(draft: Draft) -> Any:
    """The content of the system message, or None."""
    return draft.messages[0].get("content") if _role(draft.messages[0]) == "system" else None


def _insert(draft: Draft, place: int, turns: list[dict[str, Any]]) -> None:
    draft.messages = [*draft.messages[:place], *turns, *draft.messages[place:]]
    draft.not_gold = {number if number < place else number + len(turns) for number in draft.not_gold}


def _take(draft: Draft, key: str) -> None:
    draft.meta = {name: value for name, value in (draft.meta or {}).items() if name != key}


def _is_copy(draft: Draft, value: Any) -> bool:
    """Whether some message holds each text of `value`."""
    contents = [message.get("content") for message in draft.messages if isinstance(message, dict)]
    said = [content for content in contents if isinstance(content, str)]
    return all(any(_occurs(text.strip(), content) for content in said) for text in _texts(value))


def _occurs(text: str, content: str) -> bool:
    """Whether `content` holds `text`, and not as a part of a longer word."""
    return text in content and re.search(rf"(?<![A-Za-z0-9]){re.escape(text)}(?![A-Za-z0-9])", content) is not None


def _texts(value: Any) -> Iterator[str]:
    """Every text and number in a value; of an object with content, only that."""
    if isinstance(value, dict):
        inner = [value[key] for key in _CONTENT if key in value] or list(value.values())
        for each in inner:
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif value is not None:
        yield str(value)


def _turns(value: Any) -> list[dict[str, Any]] | None:
    """Pairs or messages as messages; None if it is neither."""
    if not isinstance(value, list):
        return None
    turns: list[dict[str, Any]] = []
    for item in value:
        if isinstance(item, list) and len(item) == len(_PAIR) and all(isinstance(text, str) for text in item):
            turns += [{"role": role, "content": text} for role, text in zip(_PAIR, item, strict=True)]
        elif (turn := _message(item)) is not None:
            turns.append(turn)
        else:
            return None
    return turns


def _message(item: Any) -> dict[str, Any] | None:
    """An object with a role and content, under the names of ShareGPT or of chat; None for anything else."""
    if not isinstance(item, dict):
        return None
    role, content = item.get("role", item.get("from")), item.get("content", item.get("value"))
    return None if role is None or content is None else {"role": role_of(role), "content": joined(content)}


def _answer_turn(draft: Draft, value: Any) -> dict[str, Any] | None:
    """The assistant turn that an answer key holds: a text, a message, or messages that repeat the row's and end so."""
    if isinstance(value, str):
        return {"role": "assistant", "content": value}
    turns = [_message(item) for item in value] if isinstance(value, list) else [_message(value)]
    if not turns or turns[-1] is None or turns[-1]["role"] != "assistant" or not _is_copy(draft, turns[:-1]):
        return None
    return turns[-1]


def _golds(value: Any) -> list[Any]:
    """Several gold answers, or one that is a number; SQuAD keeps them in an object, under `text`."""
    if isinstance(value, dict):
        value = value.get("text")
    values = value if isinstance(value, list) else [value]
    are_answers = all(isinstance(gold, str | int | float) and not isinstance(gold, bool) for gold in values)
    return list(dict.fromkeys(gold for gold in values if not is_empty(gold) or gold == 0)) if are_answers else []
