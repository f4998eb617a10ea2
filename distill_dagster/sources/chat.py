"""The chat format of OpenAI and Azure: `{"messages": [{"role", "content"}, …], "id"?, "reference"?, …}`.

{"messages": [{"role": "user", "content": "2 + 2?"}], "reference": 4, "lang": "en"}
Draft(messages=[{"role": "user", "content": "2 + 2?"}], reference=4, meta={"lang": "en"}, …)
"""

from dataclasses import dataclass
from typing import Any

KNOWN = frozenset({"messages", "id", "reference", "group", "task"})


@dataclass(slots=True)
class Draft:
    """A row as a format's reader hands it on: every field may still hold anything that JSON can."""

    messages: Any
    identity: Any = None
    reference: Any = None
    group: Any = None
    task: Any = None
    meta: dict[str, Any] | None = None
    key: str = "messages"  # the format's name for the messages, for what is said about them
    keys: tuple[str, ...] = ()  # all keys of the object


def fits(row: dict[str, Any]) -> bool:
    """Whether the object looks like this format."""
    return "messages" in row


def draft(row: dict[str, Any]) -> Draft:
    """The row's fields by name; keys that the format does not know become meta."""
    get = row.get
    return Draft(
        messages=get("messages"),
        identity=get("id"),
        reference=get("reference"),
        group=get("group"),
        task=get("task"),
        meta={key: value for key, value in row.items() if key not in KNOWN},
        keys=tuple(row),
    )
