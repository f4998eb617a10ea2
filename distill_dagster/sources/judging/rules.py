"""The rules for one row, E002 to E010, E017 and E018: each function checks one thing and yields its faults.

    [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    ("E005", "message 2 is user after user; user and assistant take turns, starting with user")
    ("E006", "nli takes one user turn, the row has 2")

docs/verdicts.md explains the codes. decoding.py decides E001 and duplicates.py E011. Most rows are valid: `is_flawless`
recognizes their usual shapes in a tenth of the time, and only the other rows go through the rules.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.key_table import change_nothing
from distill_dagster.sources.formats.turns import ROLES, TOOL_ROLES, odd_part
from distill_dagster.tasks import TASKS

SINGLE_TURNS = (["user"], ["user", "assistant"])
Fault = tuple[str, str]  # code, message


def shown(value: Any) -> str:
    """`value` for a message: short, and on one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_task(task: Any) -> Iterator[Fault]:
    """E008: the row's own task exists."""
    if not isinstance(task, str) or task not in TASKS:
        yield "E008", f"task {shown(task)} is not known; the tasks are {', '.join(sorted(TASKS))}"


def check_list(draft: Draft) -> Iterator[Fault]:
    """E002: the messages are a non-empty list."""
    key, messages = draft.key, draft.messages
    if messages is None:
        held = ", ".join(shown(k) for k in itertools.islice(draft.keys, 8)) or "none"
        yield "E002", f"`{key}` is missing or null; the row's keys are {held}; docs/formats.md has the formats"
    elif not isinstance(messages, list):
        yield "E002", f"`{key}` is a {type(messages).__name__}, a list is expected: {shown(messages)}"
    elif not messages:
        yield "E002", f"`{key}` is an empty list"


def check_message(number: int, message: Any) -> Iterator[Fault]:
    """E004 and E010: an object with a known role and content that is text."""
    if not isinstance(message, dict):
        yield "E004", f"message {number} is a {type(message).__name__}, an object is expected: {shown(message)}"
        return
    role = message.get("role")
    if isinstance(role, str) and role.lower() in TOOL_ROLES:
        yield "E017", f"message {number} has the role {shown(role)}, and tools cannot be sent; leave the row out"
    elif not isinstance(role, str) or role not in ROLES:
        yield "E004", f"message {number} has the role {shown(role)}; the roles are {', '.join(ROLES)}"
    if "content" not in message:
        yield "E004", f"message {number} has no `content`; its keys are {', '.join(map(shown, message)) or 'none'}"
    else:
        yield from check_content(f"content of message {number}", message["content"])


def check_content(name: str, value: Any) -> Iterator[Fault]:
    """E017: no part of the content is an image, a tool call or the like; E010: it is text."""
    kinds = filter(None, map(odd_part, value if isinstance(value, list) else []))
    if kind := next(kinds, None):
        yield (
            "E017",
            f"{name} has a part of type {shown(kind)}, and only text is sent; leave the row out, or describe it",
        )
    else:
        yield from check_text(name, value)


def check_text(name: str, value: Any) -> Iterator[Fault]:
    """E010: a string that is not blank and holds no NUL; other control characters count as text."""
    if not isinstance(value, str):
        yield "E010", f"{name} is a {type(value).__name__}, text is expected: {shown(value)}"
    elif not value or value.isspace():
        yield "E010", f"{name} is blank: {shown(value)}"
    elif "\0" in value:
        yield "E010", f"{name} holds a NUL at character {value.index(chr(0)) + 1}"


def check_turns(roles: Sequence[str], task: str, require_system: bool) -> Iterator[Fault]:
    """E003, E005, E006 and E007: the order of the roles, which are all known."""
    if require_system and roles[0] != "system":
        yield "E003", f"the first message is {roles[0]}; data.require_system requires system"
    turns = roles[1:] if roles[0] == "system" else roles
    offset = len(roles) - len(turns)
    for i, role in enumerate(turns):
        if role != ("user", "assistant")[i % 2]:
            before = roles[i + offset - 1] if i + offset else "nothing"
            yield (
                "E005",
                f"message {i + offset + 1} is {role} after {before}; user and assistant take turns, starting with user",
            )
            break
    asked, answered = turns.count("user"), turns.count("assistant")
    if TASKS[task].single_turn:
        if asked != 1:
            yield "E006", f"{task} takes one user turn, the row has {asked}; rows of several have the task conversation"
    elif not turns or asked != answered or turns[-1] != "assistant":
        yield "E007", f"{task} takes whole pairs of user and assistant, the row has {asked} and {answered}"


def check_reference(reference: Any) -> Iterator[Fault]:
    """E010: a gold answer is text or a number; a row has one of them, or a list."""
    values = reference if isinstance(reference, list) else [] if reference is None else [reference]
    for number, value in enumerate(values, 1):
        name = f"reference {number}" if isinstance(reference, list) else "reference"
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield from check_text(name, value)


def check_names(draft: Draft) -> Iterator[Fault]:
    """E010: `id` and `group`, if given, are text or whole numbers."""
    for name, value in (("id", draft.identity), ("group", draft.group)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            yield from check_text(name, value)


def is_flawless(draft: Draft, task: Any, require_system: bool) -> bool:
    """True only for a faultless row that holds plain turns alone; False says nothing about the row."""
    if type(task) is not str or task not in TASKS or type(draft.messages) is not list:
        return False
    if draft.faults or (draft.meta and not change_nothing(draft.meta)):
        return False
    roles = []
    for message in draft.messages:
        if type(message) is not dict or len(message) != 2 or "role" not in message:
            return False
        content = message.get("content")
        if type(content) is not str or not content or content.isspace() or "\0" in content:  # `_is_text`, inlined
            return False
        roles.append(message["role"])
    return (
        _take_turns(roles, TASKS[task].single_turn, require_system)
        and (draft.reference is None or all(map(_is_text, _as_list(draft.reference))))
        and (draft.identity is None or type(draft.identity) is int or _is_text(draft.identity))
        and (draft.group is None or type(draft.group) is int or _is_text(draft.group))
    )


def _take_turns(roles: list[Any], single_turn: bool, require_system: bool) -> bool:
    if roles and roles[0] == "system":
        roles = roles[1:]
    elif require_system:
        return False
    return roles in SINGLE_TURNS if single_turn else bool(roles) and roles == SINGLE_TURNS[1] * (len(roles) // 2)


def _is_text(value: Any) -> bool:
    return type(value) is str and value != "" and not value.isspace() and "\0" not in value


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def faults(draft: Draft, task: str, require_system: bool) -> list[Fault]:
    """All faults of a row, the most important code first; empty for a valid row."""
    found = [*check_task(task), *check_list(draft)]
    if not found:
        messages = draft.messages
        found = [fault for n, message in enumerate(messages, 1) for fault in check_message(n, message)]
        if not any(code in ("E004", "E017") for code, _ in found):
            found = [*check_turns([m["role"] for m in messages], task, require_system), *found]
        found = [*draft.faults, *found]
    found += check_reference(draft.reference)
    found += check_names(draft)
    return found
