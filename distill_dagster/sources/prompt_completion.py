"""The prompt/completion format: `{"prompt": str or messages, "completion"?: str or messages, "id"?, …}`.

    {"prompt": "2 + 2?", "completion": "4"}
    Draft(messages=[{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}], …)

A prompt that is text is one user turn, a completion that is text is the assistant turn that follows it.
"""

from typing import Any

from distill_dagster.sources.chat import Draft

KNOWN = frozenset({"prompt", "completion", "id", "reference", "group", "task"})


def fits(row: dict[str, Any]) -> bool:
    """Whether the object looks like this format."""
    return "prompt" in row


def draft(row: dict[str, Any]) -> Draft:
    """The row's fields by name; keys that the format does not know become meta."""
    prompt, completion = row.get("prompt"), row.get("completion")
    messages = _turns(prompt, "user")
    if messages is not None and completion is not None:
        messages = [*messages, *(_turns(completion, "assistant") or [])]
    return Draft(
        messages=messages,
        identity=row.get("id"),
        reference=row.get("reference"),
        group=row.get("group"),
        task=row.get("task"),
        meta={key: value for key, value in row.items() if key not in KNOWN},
        key="prompt",
        keys=tuple(row),
    )


def _turns(value: Any, role: str) -> list[Any] | None:
    """A list of messages as it is; anything else as the content of one message, to be judged there."""
    if value is None or isinstance(value, list):
        return value
    return [{"role": role, "content": value}]
