"""The parts of a model's text: the thoughts before the answer, the fields of a JSON object, and the answer.

    text      "<think>It sleeps.</think>Answer: neutral"
    Reading   answer "neutral", reasoning "It sleeps.", said "Answer: neutral"

thoughts.py finds the thoughts, json_text.py the objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reading:
    """The parts of one text.

    `said` is the text in the answer's place before the task parses it: it tells a refusal from a misspelled label.
    Comparisons ignore it, since it follows from the text.
    """

    answer: str | None  # in the task's form; None where the text has none
    reasoning: str | None = None
    said: str = field(default="", compare=False)


def field_of(value: Any, names: Sequence[str]) -> Any:
    """The value of the first of `names` that is a key of `value`; case and punctuation do not matter.

    Raises:
        KeyError: `value` is no object, or none of the names is a key of it.
    """
    own = {_bare(str(key)): inner for key, inner in value.items()} if isinstance(value, Mapping) else {}
    return own[next((name for name in map(_bare, names) if name in own), names[0])]


def _bare(key: str) -> str:
    return "".join(char for char in key.casefold() if char.isalnum())


def text_of(value: Any) -> str:
    """A JSON value as text: null is the empty text (never "None"), and a list has one line for each item."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "\n".join(filter(None, (text_of(line) for line in value if not isinstance(line, list))))
    return "" if value is None or isinstance(value, Mapping) else str(value).strip()
