"""What is read out of a teacher's text, and the parts that every task reads in the same way.

    text      "<think>It sleeps.</think>Answer: neutral"
    Reading   answer "neutral", reasoning "It sleeps.", said "Answer: neutral"

A reasoning model thinks aloud before it answers. Where its server leaves the thoughts in the text, they stand between
tags, of which the first may be missing, because the chat template has put it into the prompt.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

THOUGHT = re.compile(
    r"\s*<(?:think|thinking)>(?P<own>.*?)</(?:think|thinking)>"
    r"|(?P<opened_before>.*?)^[ \t]*</(?:think|thinking)>[ \t]*$",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
OPENED = re.compile(r"\s*<(?:think|thinking)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """The parts of one text.

    `said` is what stands in the answer's place before the task's parser looks at it, which tells a refusal from a
    label that is misspelled; it follows from the text, and two readings are compared without it.
    """

    answer: str | None  # in the task's form; None: there is none
    reasoning: str | None = None
    said: str = field(default="", compare=False)


def part_thoughts(text: str) -> tuple[str | None, str]:
    """The thoughts of `text` and what comes after them; thoughts that do not end leave nothing after them."""
    if found := THOUGHT.match(text):
        return (found["own"] or found["opened_before"] or "").strip() or None, text[found.end() :].strip()
    if opened := OPENED.match(text):
        return text[opened.end() :].strip() or None, ""
    return None, text.strip()


def field_of(value: Any, names: Sequence[str]) -> Any:
    """The value of the first of `names` that `value` has, whatever the case and punctuation of its keys.

    Raises:
        KeyError: it is no object, or has none of them.
    """
    own = {_bare(str(key)): inner for key, inner in value.items()} if isinstance(value, Mapping) else {}
    return own[next((name for name in map(_bare, names) if name in own), names[0])]


def _bare(key: str) -> str:
    return "".join(char for char in key.casefold() if char.isalnum())


def text_of(value: Any) -> str:
    """A JSON value as the text that it stands for: null is no text (and never "None"), a list is its lines."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "\n".join(filter(None, (text_of(line) for line in value if not isinstance(line, list))))
    return "" if value is None or isinstance(value, Mapping) else str(value).strip()
