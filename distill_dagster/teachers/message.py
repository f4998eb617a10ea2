"""What a chat completion's message says, read by the type of each part: text, thoughts, a refusal.

    {"content": [{"type": "thinking", "thinking": "2"}, {"type": "text", "text": "4"}]}   text "4", thoughts "2"
    {"content": "4", "reasoning_details": [{"type": "reasoning.text", "text": "2"}]}      text "4", thoughts "2"
    {"content": null, "refusal": "Das mache ich nicht."}                                  refused

A part of a type that is not listed here (an image, a tool call) is no text: `is_whole` is then False, and the caller
keeps the body as it was received.

The parts of a stream are pieces of one text: those of one kind that follow each other are joined without a gap. Whole
thoughts that come as parts of their own have a blank line between them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

TEXT, THOUGHT, REFUSAL = "text", "thought", "refusal"
TYPES = {
    **dict.fromkeys(("text", "output_text", "input_text", "markdown", "message"), TEXT),
    **dict.fromkeys(("thinking", "thought", "thoughts", "reasoning", "reasoning_text", "reasoning_content"), THOUGHT),
    **dict.fromkeys(("reasoning.text", "reasoning.summary", "summary_text", "thinking_text"), THOUGHT),
    **dict.fromkeys(("redacted_thinking", "reasoning.encrypted"), THOUGHT),  # without a text of their own
    "refusal": REFUSAL,
}
NAMES = (
    "text",
    "thinking",
    "thought",
    "reasoning",
    "refusal",
    "summary",
    "content",
    "value",
    "parts",
)  # of a part's text
THOUGHT_FIELDS = (  # of a message; the first one that says anything, since servers repeat the thoughts in two fields
    *("reasoning_content", "reasoning", "thinking", "thoughts", "thinking_blocks", "reasoning_details"),
    *("reasoning_text", "reasoning_summary"),
)
TEXT_FIELDS = {"content", "refusal", *THOUGHT_FIELDS}
READ = {"role", "name", *TEXT_FIELDS}
Parts = list[tuple[str | None, str]]
DEEPEST = 8  # parts within parts


@dataclass(frozen=True, slots=True)
class Said:
    """The texts of a message."""

    text: str
    thoughts: str
    refusal: str
    is_whole: bool  # nothing else was said


def read_message(message: Mapping[str, Any], is_streamed: bool = False) -> Said:
    """Read a message; `is_streamed`: its parts are those of a stream.

    Raises:
        ValueError: there is content, and none of it is of a type that is known.
    """
    parts = _parts_of(message.get("content"), TEXT, is_streamed)
    if parts and not any(kind for kind, _ in parts):
        raise ValueError("the content is neither text nor a list of known parts")
    beside = {name: _parts_of(message.get(name), THOUGHT, is_streamed) for name in THOUGHT_FIELDS}
    refused = _parts_of(message.get("refusal"), REFUSAL, is_streamed)
    thoughts = (
        [text for kind, text in parts if kind == THOUGHT],
        *([text for _, text in one] for one in beside.values()),
    )
    return Said(
        text="".join(text for kind, text in parts if kind == TEXT),
        thoughts=next(filter(None, map(_paragraphs, thoughts)), ""),
        refusal="".join(text for kind, text in parts if kind == REFUSAL) or _paragraphs([text for _, text in refused]),
        is_whole=_is_whole(message, {"content": parts, "refusal": refused, **beside}),
    )


def _is_whole(message: Mapping[str, Any], read: Mapping[str, Parts]) -> bool:
    """Whether every part was read, and no other field says anything; a number beside the content says nothing."""
    lists = [
        parts for name, parts in read.items() if name == "content" or not isinstance(message.get(name), int | float)
    ]
    return all(kind for parts in lists for kind, _ in parts) and not any(
        message[name] for name in message.keys() - READ
    )


def _paragraphs(texts: list[str]) -> str:
    """Texts with a blank line between them, without those that are blank themselves."""
    return "\n\n".join(text for text in texts if text.strip())


def _parts_of(value: Any, kind: str, is_streamed: bool) -> Parts:
    """The kind and the text of each part of a field that holds text, an object or a list of parts."""
    parts = list(_parts(value, kind, 0))
    if not is_streamed:
        return parts
    pieces = [(one, text) for one, text in parts if text or one is None]
    return [(one, "".join(text for _, text in same)) for one, same in groupby(pieces, key=lambda part: part[0])]


def _parts(value: Any, kind: str | None, depth: int) -> Iterator[tuple[str | None, str]]:
    """The kind and the text of each part of a value; kind None is a part that is no text, or too deep to be one."""
    if value is None:
        return
    if isinstance(value, str):
        yield kind, value
    elif depth < DEEPEST and isinstance(value, list):
        for part in value:
            yield from _parts(part, kind, depth + 1)
    elif depth < DEEPEST and isinstance(value, dict):
        yield from _object(value, kind, depth)
    else:
        yield None, ""


def _object(part: Mapping[str, Any], kind: str | None, depth: int) -> Iterator[tuple[str | None, str]]:
    """A part with a type, or without one as Gemini gives it."""
    given = part.get("type") if isinstance(part.get("type"), str) else None
    own = THOUGHT if part.get("thought") is True else TYPES.get(given.casefold()) if given else kind
    kind = kind if own == TEXT and kind != TEXT else own  # a text within thoughts is a thought
    named = [name for name in NAMES if isinstance(part.get(name), str | list | dict)]
    if kind is None or (given is None and not named):
        yield None, ""
    else:
        yield from _parts(next((part[name] for name in named if part[name]), ""), kind, depth + 1)
