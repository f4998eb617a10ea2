"""Keys that are equal for equal prompts: one to find duplicates in the set, one to find prompts of the test set.

    "What's my   PIN?"      duplicate_key       ("qa", "user", "what's my pin?")
    "Whats my pin"          contamination_key   differs: "what s my pin" is not "whats my pin"
    "What’s my PIN!"        contamination_key   ("qa", "what s my pin")

Dialogues are compared by all of their user turns, because many dialogues end alike ("No, thank you.").
"""

import unicodedata
from collections.abc import Mapping
from typing import Any

import xxhash

from distill_dagster.tasks import get_task


class _Unpunctuated(dict[int, int]):
    """Code point -> itself, or a space for punctuation and symbols; filled on demand."""

    def __missing__(self, point: int) -> int:
        self[point] = ord(" ") if unicodedata.category(chr(point))[0] in "PS" else point
        return self[point]


_unpunctuated = _Unpunctuated()


def fold(text: str) -> str:
    """`text` in NFKC, case-folded, with runs of white space collapsed to one space."""
    if text.isascii():  # NFKC does not change it
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def bare(text: str) -> str:
    """`fold(text)` with punctuation and symbols replaced by spaces; `fold(text)` if nothing else is left."""
    folded = fold(text)
    return " ".join(folded.translate(_unpunctuated).split()) or folded


def user_text_of(row: Mapping[str, Any]) -> str:
    """The user turns as written, joined by line breaks: the text in which near matches are searched."""
    turns = [m["content"] for m in row["messages"] if m["role"] == "user"]
    return "\n".join(turns[-1:] if get_task(row["task"]).single_turn else turns)


def setting_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Task and system messages; rows that differ in them are never near duplicates."""
    return (row["task"], *(fold(m["content"]) for m in row["messages"] if m["role"] not in ("user", "assistant")))


def duplicate_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Equal for rows with the same prompt: task, system message and user turns, but not the assistant's turns."""
    asked = [part for m in row["messages"] if m["role"] != "assistant" for part in (m["role"], fold(m["content"]))]
    return (row["task"], *asked)


def contamination_key(row: Mapping[str, Any], user_text: str = "") -> tuple[str, ...]:
    """Equal for rows whose task and user turns are the same apart from case and punctuation.

    `user_text` is `bare(user_text_of(row))` if the caller has it: for a single-turn row that saves the work.
    """
    if user_text and get_task(row["task"]).single_turn:
        return row["task"], user_text
    turns = [bare(m["content"]) for m in row["messages"] if m["role"] == "user"]
    return (row["task"], *(turns[-1:] if get_task(row["task"]).single_turn else turns))


def digest(key: tuple[str, ...]) -> bytes:
    """A key as 16 bytes; a million keys as tuples of texts would take several hundred megabytes."""
    return xxhash.xxh3_128_digest("\0".join(key).encode())
