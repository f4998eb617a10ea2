"""Changes the chat templates of a tokenizer: it has one, several by name, or none."""

from collections.abc import Callable
from typing import Any


def change_templates(tokenizer: Any, change: Callable[[str], str]) -> None:
    """Replace every template by what `change` makes of it."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        tokenizer.chat_template = {name: change(text) for name, text in template.items()}
    elif template:
        tokenizer.chat_template = change(template)
