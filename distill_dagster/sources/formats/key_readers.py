"""How a key beside the messages is read, for each kind of key in key_table.py; gold_keys.py reads gold answers.

A reader takes the key out of `meta` if it has used it, leaves it there if the messages hold the same text, or adds a
fault: E017 for what is not text, E018 for what the messages do not say.
"""

from collections.abc import Callable
from typing import Any

from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.copies import are_listed, are_turns, is_passage, is_rendering, is_said
from distill_dagster.sources.formats.turns import WAY_OUT, joined, role_of

PAIR = ("user", "assistant")


def read_system(draft: Draft, key: str, value: Any) -> None:
    """The system message; the row may have it among its messages too, if the two are equal."""
    text, own = joined(value), _system(draft)
    if not isinstance(text, str):
        draft.faults.append(_not_text(key, value))
    elif own is None:
        _insert(draft, 0, [{"role": "system", "content": text}])
        take(draft, key)
    elif str(own).strip() != text.strip():
        draft.faults.append(("E018", f"`{key}` and the system message before it differ; keep one of the two"))
    else:
        take(draft, key)


def read_context(draft: Draft, key: str, value: Any) -> None:
    """The text that a question is about: it follows the question, as Alpaca's `input` does."""
    asked = [message for message in draft.messages if role_in(message) == "user"]
    if is_passage(draft, value):
        return
    if not isinstance(value, str):
        draft.faults.append(_not_text(key, value))
    elif _has_turns(draft) or len(asked) != 1 or not isinstance(asked[0].get("content"), str):
        draft.faults.append(differs(draft, key))
    elif asked[0]["content"].strip():  # a blank question stays one, and is refused
        asked[0]["content"] += f"\n\n{value}"
        take(draft, key)


def read_history(draft: Draft, key: str, value: Any) -> None:
    """Earlier turns, as [question, answer] pairs or as messages: they precede the question."""
    turns = _turns(value)
    if turns is None:
        draft.faults.append(
            ("E017", f"`{key}` holds no [question, answer] pairs of text and no messages; write them so, or {WAY_OUT}")
        )
    elif are_turns(draft, turns):
        return
    elif _has_turns(draft):
        draft.faults.append(differs(draft, key))
    else:
        _insert(draft, 0 if _system(draft) is None else 1, turns)
        take(draft, key)


def read_copy(draft: Draft, key: str, value: Any) -> None:
    """Another format's question: a copy of what the messages say, or the row asks two things."""
    if not is_said(draft, value):
        draft.faults.append(differs(draft, key))


def read_choices(draft: Draft, key: str, value: Any) -> None:
    """The answers to choose from: one message lists them, or the model would not see them."""
    if not are_listed(draft, value):
        draft.faults.append(differs(draft, key))


def read_text(draft: Draft, key: str, value: Any) -> None:
    """The whole row in the words of a template, or a text of the question, which the messages hold then."""
    if not is_rendering(draft, value):
        read_copy(draft, key, value)


READERS: dict[str, Callable[[Draft, str, Any], None]] = {
    "system": read_system,
    "context": read_context,
    "history": read_history,
    "copy": read_copy,
    "choices": read_choices,
    "text": read_text,
}


def differs(draft: Draft, key: str) -> tuple[str, str]:
    """E018 for a text that would not be sent."""
    return (
        "E018",
        f"`{key}` holds a text that `{draft.key}` does not, so it would not be sent: put it into `{draft.key}`, or "
        "name the key in data.meta_keys if it changes nothing",
    )


def message_of(item: Any) -> dict[str, Any] | None:
    """An object with a role and content, under the names of ShareGPT or of chat; None for anything else."""
    if not isinstance(item, dict):
        return None
    role, content = item.get("role", item.get("from")), item.get("content", item.get("value"))
    return None if role is None or content is None else {"role": role_of(role), "content": joined(content)}


def role_in(message: Any) -> Any:
    """The role of a message, or None."""
    return message.get("role") if isinstance(message, dict) else None


def take(draft: Draft, key: str) -> None:
    """Remove a key that was used from `meta`."""
    draft.meta = {name: value for name, value in (draft.meta or {}).items() if name != key}


def _not_text(key: str, value: Any) -> tuple[str, str]:
    return "E017", f"`{key}` is a {type(value).__name__}, and only text is sent; write it as text, or {WAY_OUT}"


def _has_turns(draft: Draft) -> bool:
    return draft.key in ("messages", "conversations")


def _system(draft: Draft) -> Any:
    """The content of the system message, or None."""
    return draft.messages[0].get("content") if role_in(draft.messages[0]) == "system" else None


def _insert(draft: Draft, place: int, turns: list[dict[str, Any]]) -> None:
    draft.messages = [*draft.messages[:place], *turns, *draft.messages[place:]]
    draft.not_gold = {number if number < place else number + len(turns) for number in draft.not_gold}


def _turns(value: Any) -> list[dict[str, Any]] | None:
    """Pairs or messages as messages; None if it is neither."""
    if not isinstance(value, list):
        return None
    turns: list[dict[str, Any]] = []
    for item in value:
        if isinstance(item, list) and len(item) == len(PAIR) and all(isinstance(text, str) for text in item):
            turns += [{"role": role, "content": text} for role, text in zip(PAIR, item, strict=True)]
        elif (turn := message_of(item)) is not None:
            turns.append(turn)
        else:
            return None
    return turns
