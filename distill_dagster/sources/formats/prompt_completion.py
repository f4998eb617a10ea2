"""The prompt/completion format: `{"prompt": str or messages, "completion"?: str or messages, "id"?, …}`.

    {"prompt": "2 + 2?", "completion": "4"}
    Draft(messages=[{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}], …)

A text prompt is one user turn, and a text completion is the assistant turn that follows it.
"""

from typing import Any

from distill_dagster.sources.formats.chat import COMMON, Draft, make_draft

KNOWN = COMMON | {"prompt", "completion"}


def fits(row: dict[str, Any]) -> bool:
    """Whether the object looks like this format."""
    return "prompt" in row


def draft(row: dict[str, Any]) -> Draft:
    """The row's fields by name."""
    return make_draft(row, exchange(row.get("prompt"), row.get("completion")), "prompt", KNOWN)


def exchange(asked: Any, answered: Any) -> list[Any] | None:
    """Prompt and completion as one list of messages; None without a prompt. A blank completion counts as missing."""
    messages = _turns(asked, "user")
    if messages is None or answered is None or (isinstance(answered, str) and not answered.strip()):
        return messages
    return [*messages, *(_turns(answered, "assistant") or [])]


def _turns(value: Any, role: str) -> list[Any] | None:
    """A list of messages as it is; anything else as the content of one message, which is judged later."""
    if value is None or isinstance(value, list):
        return value
    return [{"role": role, "content": value}]
