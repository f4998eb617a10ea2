"""The prompts of one raw row: one, or one for each user turn of a conversation.

    row      system S, user "Hi", assistant "Hello!", user "Bye", assistant "See you."
    turn 0   [S, user "Hi"]                                             reference ["Hello!"]
    turn 1   [S, user "Hi", assistant "Hello!", user "Bye"]             reference ["See you."]

A turn that the row names in `not_gold` is text for the turns behind it, and no reference. In a benchmark all models see
the row's own earlier turns, as here, so that they answer the same prompts. A teacher that makes training data sees its
own earlier replies, which `with_replies` puts in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.tasks import get_task


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked for a row or one of its turns; `reference` holds the gold answers and may be empty."""

    turn: int
    messages: list[dict[str, str]]
    reference: list[str]
    response_format: dict[str, Any] | None = None  # OpenAI's field, where the prompt asks for JSON


def prompts_of(row: Mapping[str, Any]) -> list[Prompt]:
    """The prompts of a raw row, in the order of their turns."""
    messages = [{"role": m["role"], "content": m["content"]} for m in row["messages"]]
    if get_task(row["task"]).single_turn:
        return [Prompt(0, messages, list(row["reference"] or []))]
    not_gold = frozenset(row.get("not_gold") or ())
    asked = [position for position, message in enumerate(messages) if message["role"] == "user"]
    return [Prompt(turn, messages[: at + 1], _gold_reply(messages, at, not_gold)) for turn, at in enumerate(asked)]


def has_gold(row: Mapping[str, Any]) -> bool:
    """Whether one of the row's prompts has a gold answer."""
    return any(prompt.reference for prompt in prompts_of(row))


def _gold_reply(messages: Sequence[Mapping[str, str]], asked: int, not_gold: frozenset[int]) -> list[str]:
    """The assistant turn right after the user turn at `asked`, unless it is blank or not to be learned."""
    reply = messages[asked + 1] if asked + 1 < len(messages) and asked + 1 not in not_gold else None
    return [reply["content"]] if reply and reply["role"] == "assistant" and reply["content"].strip() else []


def without_answer(messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The prompt of an example, whose messages end with the answer; those of a prompt never end with one."""
    prompt = messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages
    return [dict(message) for message in prompt]


def with_replies(prompt: Prompt, replies: Sequence[str]) -> list[dict[str, str]]:
    """The prompt's messages with the assistant turns replaced, in order, by `replies` (one for each earlier turn)."""
    assert len(replies) == prompt.turn, f"turn {prompt.turn} follows {prompt.turn} replies, got {len(replies)}"
    own = iter(replies)
    return [{**m, "content": next(own)} if m["role"] == "assistant" else m for m in prompt.messages]
