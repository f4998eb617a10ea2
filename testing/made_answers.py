"""What the servers of the tests answer: it depends on the messages alone."""

import hashlib
import json
from typing import Any


def digest(messages: list[dict[str, str]]) -> str:
    """A hash of the messages, which decides the answer."""
    return hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()


def answer_to(messages: list[dict[str, str]], choices: list[str] | None = None) -> str:
    """The text of the answer to these messages if no rule applies."""
    chosen = digest(messages)
    return choices[int(chosen, 16) % len(choices)] if choices else f"answer {int(chosen[:6], 16)}"


def token_logprobs(text: str, alternatives: int) -> dict[str, Any]:
    """OpenAI's `logprobs` of a text, one token a word."""
    top = [{"token": f"t{i}", "logprob": -0.5 - i, "bytes": None} for i in range(alternatives)]
    return {
        "content": [{"token": w, "logprob": -0.5, "bytes": None, "top_logprobs": top} for w in text.split()],
        "refusal": None,
    }


def completion(body: dict[str, Any], script: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an answer of status 200."""
    messages = body["messages"]
    text: str | None = rule["text"] if rule.get("fault") == "say" else answer_to(messages, script["choices"])
    text = None if rule.get("fault") == "null_content" else text
    asked = min(body.get("top_logprobs", 0), script["logprobs"]) if body.get("logprobs") else 0
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **rule.get("message", {})},
        "finish_reason": rule.get("finish_reason", "stop"),
        **rule.get("choice", {}),
        "logprobs": token_logprobs(text or "", asked) if asked else None,
    }
    prompt, given = sum(len(m["content"].split()) for m in messages), len((text or "").split())
    return {
        "id": f"chatcmpl-{digest(messages)[:12]}",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [] if rule.get("fault") == "no_choices" else [choice],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": given,
            "total_tokens": prompt + given,
            **({"prompt_tokens_details": {"cached_tokens": script["cached"]}} if script["cached"] else {}),
        },
    }
