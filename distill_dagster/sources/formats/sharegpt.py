"""The ShareGPT format: `{"conversations": [{"from": "system|human|gpt", "value": str}, …], "id"?, …}`.

{"conversations": [{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"}], "lang": "en"}
Draft(messages=[{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}], meta={"lang": "en"}, …)
"""

from typing import Any

from distill_dagster.sources.formats.chat import COMMON, Draft, make_draft
from distill_dagster.sources.formats.turns import role_of

KNOWN = COMMON | {"conversations"}
NAMES = {"from": "role", "value": "content"}


def fits(row: dict[str, Any]) -> bool:
    """Whether the object looks like this format."""
    return "conversations" in row


def draft(row: dict[str, Any]) -> Draft:
    """The row's fields by name."""
    turns = row.get("conversations")
    messages = [_message(turn) for turn in turns] if isinstance(turns, list) else turns
    return make_draft(row, messages, "conversations", KNOWN)


def _message(turn: Any) -> Any:
    """A turn under the names of the chat format; anything but an object stays as it is and is judged later."""
    if not isinstance(turn, dict):
        return turn
    message = {NAMES.get(key, key): value for key, value in turn.items()}
    return {**message, "role": role_of(message["role"])} if "role" in message else message
