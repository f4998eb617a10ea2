"""The chat format of OpenAI and Azure: `{"messages": [{"role", "content"}, …], "id"?, "reference"?, …}`.

{"messages": [{"role": "user", "content": "2 + 2?"}], "reference": 4, "lang": "en"}
Draft(messages=[{"role": "user", "content": "2 + 2?"}], reference=4, meta={"lang": "en"}, …)
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

COMMON = frozenset({"id", "reference", "group", "task"})  # keys that rows of any format may have
KNOWN = COMMON | {"messages"}


@dataclass(slots=True)
class Draft:
    """A row as a format's reader returns it; every field may still hold any JSON value."""

    messages: Any
    identity: Any = None
    reference: Any = None
    group: Any = None
    task: Any = None
    meta: dict[str, Any] | None = None
    key: str = "messages"  # the format's name for the messages, for error messages
    keys: Collection[str] = ()  # all keys of the object
    faults: list[tuple[str, str]] = field(default_factory=list)  # code and message of what cannot be sent
    not_gold: set[int] = field(default_factory=set)  # places of assistant turns that are not to be learned


def make_draft(row: dict[str, Any], messages: Any, key: str, known: frozenset[str]) -> Draft:
    """A draft with the row's common fields by name; keys unknown to the format become meta."""
    get = row.get
    meta = {} if known.issuperset(row) else {name: value for name, value in row.items() if name not in known}
    return Draft(messages, get("id"), get("reference"), get("group"), get("task"), meta, key, row.keys())


def fits(row: dict[str, Any]) -> bool:
    """Whether the object looks like this format."""
    return "messages" in row


def draft(row: dict[str, Any]) -> Draft:
    """The row's fields by name."""
    return make_draft(row, row.get("messages"), "messages", KNOWN)
