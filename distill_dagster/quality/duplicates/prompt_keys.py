"""Keys by which prompts are the same: one for duplicates in the set, one for what the test set holds too.

    "What's my   PIN?"      duplicate_key       ("qa", "user", "what's my pin?")
    "Whats my pin"          contamination_key   differs: "what s my pin" is not "whats my pin"
    "What’s my PIN!"        contamination_key   ("qa", "what s my pin")

A dialogue is compared by all of its user turns, since its last one ("No, thank you.") is common property.
"""

import unicodedata
from collections.abc import Mapping
from typing import Any

import xxhash

from distill_dagster.tasks import get_task


class _Unpunctuated(dict[int, int]):
    """Code point -> itself, or a space where it is punctuation or a symbol; filled as characters turn up."""

    def __missing__(self, point: int) -> int:
        self[point] = ord(" ") if unicodedata.category(chr(point))[0] in "PS" else point
        return self[point]


_unpunctuated = _Unpunctuated()


def fold(text: str) -> str:
    """`text` in NFKC, case folded, with blanks collapsed."""
    if text.isascii():  # NFKC leaves it as it is
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def bare(text: str) -> str:
    """`fold(text)` with punctuation and symbols as blanks; a text of nothing else stays as it is."""
    folded = fold(text)
    return " ".join(folded.translate(_unpunctuated).split()) or folded


def question_of(row: Mapping[str, Any]) -> str:
    """The user turns as they were written, a line break between two of them: what near matches are looked for in."""
    asked = [m["content"] for m in row["messages"] if m["role"] == "user"]
    return "\n".join(asked[-1:] if get_task(row["task"]).single_turn else asked)


def setting_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Task and system messages: rows in which they differ are no near duplicates, whatever the user says."""
    return (row["task"], *(fold(m["content"]) for m in row["messages"] if m["role"] not in ("user", "assistant")))


def duplicate_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Equal for rows that ask the same: task, system message and user turns; the rest is the teacher's to say."""
    asked = [part for m in row["messages"] if m["role"] != "assistant" for part in (m["role"], fold(m["content"]))]
    return (row["task"], *asked)


def contamination_key(row: Mapping[str, Any], asked: str = "") -> tuple[str, ...]:
    """Equal for rows whose question is the same: task and user turns, without case and punctuation.

    `asked` is `bare(question_of(row))` where that is known already: of a row of one turn there is nothing else to say.
    """
    if asked and get_task(row["task"]).single_turn:
        return row["task"], asked
    turns = [bare(m["content"]) for m in row["messages"] if m["role"] == "user"]
    return (row["task"], *(turns[-1:] if get_task(row["task"]).single_turn else turns))


def digest(key: tuple[str, ...]) -> bytes:
    """16 bytes for a key: a million of them as tuples of texts would be some hundred megabytes."""
    return xxhash.xxh3_128_digest("\0".join(key).encode())
