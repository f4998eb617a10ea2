"""Hides an endpoint's key in error messages and in the errors that are stored. Answers stay as they are.

A server that needs no key gets a placeholder, such as `EMPTY` for vLLM or `ollama` for Ollama. A placeholder is no
secret and may be an ordinary word of an error message, so it is not hidden. Nor is a key of fewer than 8 characters.

    hide_key("Incorrect API key: sk-very-secret-0123", "sk-very-secret-0123")    "Incorrect API key: ***"
    hide_key("the label EMPTY is unknown", "EMPTY")                              "the label EMPTY is unknown"
"""

from collections.abc import Sequence
from typing import Any

Secrets = Sequence[str | None]  # the key, and the header values from the environment

HIDDEN = "***"
SHORTEST = 8  # characters of a key that is hidden
PLACEHOLDERS = {  # of 8 characters or more: usual with vLLM, llama.cpp, LM Studio, and in examples
    *("token-abc123", "sk-no-key-required", "lm-studio", "anything", "placeholder", "dummy-key", "fake-key"),
    *("not-needed", "not-required", "not-used", "no-api-key", "no-key-needed", "no-key-required", "api-key-not-needed"),
    *("your-api-key", "your_api_key"),
}


def is_secret(key: str | None) -> bool:
    """Whether a key has to be hidden: it is neither short nor a known placeholder."""
    return key is not None and len(key) >= SHORTEST and key.casefold() not in PLACEHOLDERS


def hide_key(text: str, *keys: str | None) -> str:
    """`text` without the keys. Hide them before the text is cut, or a part of a key may remain at the end."""
    for key in keys:
        if key is not None and is_secret(key):
            text = text.replace(key, HIDDEN)
    return text


def without_secrets(body: Any, secrets: Secrets) -> Any:
    """The JSON of an error, as `read_json` reads it, without the key and the secret headers, which servers repeat."""
    if isinstance(body, dict):
        return {hide_key(name, *secrets): without_secrets(value, secrets) for name, value in body.items()}
    if isinstance(body, list):
        return [without_secrets(value, secrets) for value in body]
    return hide_key(body, *secrets) if isinstance(body, str) else body
