"""The body of a response of status 200, parsed once: a chat completion, or the events of a streamed one.

    {"choices": [{"message": {"content": "4"}}]}                  its JSON
    data: {"choices": [{"delta": {"content": "4"}}]} …            the completion that the events make together
    <html>…                                                       no JSON: `broken` says so

causes.py, completion.py and usage.py read the same value, and `content` is what is stored where a reply holds less.
"""

from dataclasses import dataclass
from typing import Any

from distill_dagster.teachers.bounded_json import read_json
from distill_dagster.teachers.streaming import is_stream, join


@dataclass(frozen=True, slots=True)
class Received:
    """A body and what it holds."""

    content: bytes  # as it came
    value: Any  # its JSON; None if it is none
    broken: str = ""  # why no whole answer can be in it
    is_streamed: bool = False
    is_mixed: bool = False  # a text of the stream came in values of different types


def receive(content: bytes) -> Received:
    """Parse a body. None is too odd: what cannot be parsed is `broken`."""
    if is_stream(content):
        joined = join(content)
        return Received(content, joined.body, joined.broken, is_streamed=True, is_mixed=joined.is_mixed)
    try:
        return Received(content, read_json(content))
    except ValueError as e:
        return Received(content, None, str(e))
