"""OpenAI's chat completions protocol: turns the body of a response into a reply.

    {"choices": [{"message": {"content": "4", "reasoning_content": "2 + 2 ..."}, "finish_reason": "stop"}],
     "usage": {"prompt_tokens": 12, "completion_tokens": 2}}    ->    Reply(text "4", finish_reason "stop", ...)

A reply that stopped without any text (null content) is an empty answer. It was paid for and would be the same at
temperature 0, so it is kept with the text "", which the quality filters refuse by name.
"""

import json
import math
from typing import Any

from distill_dagster.teachers.limits import estimated_tokens, prompt_characters
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.retries import AttemptError
from distill_dagster.teachers.secrets import hide_key

FINISH_REASONS = {
    "stop": "stop",
    "eos_token": "stop",  # TGI
    "stop_sequence": "stop",  # TGI, Anthropic
    "end_turn": "stop",  # Anthropic
    "tool_calls": "stop",  # the model called a tool that it was not offered: an answer without text
    "function_call": "stop",
    "length": "length",
    "max_tokens": "length",  # Anthropic
    "content_filter": "content_filter",
    "model_length": "length",  # Mistral
}  # any other reason keeps its own name: the reply was paid for, and the row filters refuse what did not stop
INTERRUPTED = (None, "abort", "insufficient_system_resource")  # by vLLM, by DeepSeek: the request is sent again


def read_reply(content: bytes, request: Request, key: str | None = None) -> Reply:
    """Reads a response of status 200; the caller fills in cost, attempts and time.

    If the server did not count tokens, they are estimated from the lengths of the texts, so that every reply counts in
    the budget. The key is hidden in errors only: the student learns what the teacher wrote, be it the word `EMPTY`.

    Raises:
        AttemptError: the body is no chat completion; carries the body's usage, if there is one.
    """
    body = _parse(content, key)
    counted = _usage(body.get("usage"))
    try:
        choice = body["choices"][0]
        message, given = choice["message"], choice["finish_reason"]
        if given in INTERRUPTED:
            raise KeyError(given)
        finish = FINISH_REASONS.get(given, "content_filter" if not isinstance(given, str) else given)
        text = _text(message.get("content")) or message.get("refusal") or ""
        reasoning = message.get("reasoning_content") or message.get("reasoning") or None
    except (KeyError, IndexError, TypeError, AttributeError) as e:
        raise AttemptError("bad_response", f"not a chat completion: {_excerpt(content, key)}", usage=counted) from e
    if not any(counted):
        counted = estimated_tokens(prompt_characters(request.messages)), estimated_tokens(len(text))
    return Reply(request.request_hash, text, finish, *counted, reasoning=reasoning, logprobs=_logprobs(choice))


def _parse(content: bytes, key: str | None) -> dict[str, Any]:
    try:
        body = json.loads(content, parse_constant=_no_number, parse_float=_finite)
    except ValueError as e:
        raise AttemptError("bad_response", f"not JSON: {_excerpt(content, key)}") from e
    if not isinstance(body, dict):
        raise AttemptError("bad_response", f"not a chat completion: {_excerpt(content, key)}")
    return body


def _no_number(_: str) -> None:
    """NaN and infinities, which are no JSON: some servers write them as log probabilities."""


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _usage(usage: Any) -> tuple[int, int]:
    """Prompt and completion tokens, 0 if the server did not count them."""
    given = usage if isinstance(usage, dict) else {}
    return int(given.get("prompt_tokens") or 0), int(given.get("completion_tokens") or 0)


def _text(content: Any) -> str:
    """A message's text, given whole or in parts (Mistral); TypeError if it is neither."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}")
    return content or ""


def _logprobs(choice: dict[str, Any]) -> str | None:
    given = choice.get("logprobs")
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"), allow_nan=False) if given else None


def _excerpt(content: bytes, key: str | None) -> str:
    """The beginning of a body, for an error message."""
    return hide_key(content.decode("utf-8", "replace"), key)[:200]
