"""Whether the messages of a row already say what a key beside them holds.

    key context "Ann left."      user "Who?\\n\\nAnn left."                a copy: a line of its own
    key context "Ann"            user "Is Ann here?"                     no copy: a word of the question
    key history [["Yes", "no"]]  user "Yes or no?"                       no copy: no such turns
    key choices ["cat", "dog"]   user "Which?\\nA) cat\\nB) dog"           a copy: in this order

A text that is a copy stays in `meta`. A mistake here would drop a part of the question, so short texts need more than
to occur.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from distill_dagster.sources.formats.chat import Draft

CONTENT = ("content", "value", "text")
LONG_CHARACTERS, LONG_WORDS = 60, 8  # a text of this length does not occur by chance
REACH = 80  # characters of a line that may precede or follow a text that stands there alone
BEFORE = re.compile(r"(?:[^:：]{1,40}[:：])?[\s\"'“«\[(#>*_-]*(?:<[\w -]{1,30}>)?\s*")
AFTER = re.compile(r"\s*(?:</[\w -]{1,30}>)?[\s\"'”»\])*_.]*")


def is_said(draft: Draft, value: Any) -> bool:
    """Whether each text of `value` occurs in some message, and not as a part of a longer word."""
    said = _contents(draft)
    return all(any(_word(text.strip(), content) for content in said) for text in texts_of(value))


def are_listed(draft: Draft, value: Any) -> bool:
    """Whether one message holds all texts of `value`, one behind the other."""
    texts = [re.escape(text.strip()) for text in texts_of(value)]
    return any(_follow(texts, content) for content in _contents(draft))


def is_passage(draft: Draft, value: Any) -> bool:
    """Whether some message holds `value` as a paragraph or line, perhaps behind a label; a long one anywhere."""
    return all(any(_is_passage(text.strip(), content) for content in _contents(draft)) for text in texts_of(value))


def is_rendering(draft: Draft, value: Any) -> bool:
    """Whether the text `value` holds each line of the user's turns: all turns in the words of a template."""
    asked = [one.get("content") for one in draft.messages if isinstance(one, dict) and one.get("role") == "user"]
    lines = [line for text in asked if isinstance(text, str) for line in text.splitlines()]
    flat = " ".join(str(value).split())
    return any(lines) and all(" ".join(line.split()) in flat for line in lines)


def are_turns(draft: Draft, turns: Sequence[dict[str, Any]]) -> bool:
    """Whether the row has these very turns, one after the other."""
    own, wanted = [_said(message) for message in draft.messages], [_said(turn) for turn in turns]
    return any(own[at : at + len(wanted)] == wanted for at in range(len(own) - len(wanted) + 1))


def are_all_turns(draft: Draft, turns: Sequence[dict[str, Any]]) -> bool:
    """Whether these are the row's turns; one of the two may leave out the system message."""
    own, others = ([one for one in map(_said, some) if one[0] != "system"] for some in (draft.messages, turns))
    return own == others


def texts_of(value: Any) -> Iterator[str]:
    """Every text and number in a value; of an object with content, only that."""
    if isinstance(value, dict):
        inner = [value[key] for key in CONTENT if key in value] or list(value.values())
        for each in inner:
            yield from texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)
    elif value is not None:
        yield str(value)


def _contents(draft: Draft) -> list[str]:
    contents = [message.get("content") for message in draft.messages if isinstance(message, dict)]
    return [content for content in contents if isinstance(content, str)]


def _said(message: Any) -> tuple[Any, Any]:
    """Role and content, as they are compared."""
    if not isinstance(message, dict):
        return None, message
    content = message.get("content")
    return message.get("role"), content.strip() if isinstance(content, str) else content


def _word(text: str, content: str) -> bool:
    return text in content and re.search(rf"(?<![A-Za-z0-9]){re.escape(text)}(?![A-Za-z0-9])", content) is not None


def _follow(texts: Sequence[str], content: str) -> bool:
    """Whether the patterns match as words, each behind the one before."""
    at = 0
    for text in texts:
        found = re.compile(rf"(?<![A-Za-z0-9]){text}(?![A-Za-z0-9])").search(content, at)
        if found is None:
            return False
        at = found.end()
    return True


def _is_passage(text: str, content: str) -> bool:
    if text not in content:
        return False
    if len(text) >= LONG_CHARACTERS or len(text.split()) >= LONG_WORDS:
        return _word(text, content)
    places = (found.span() for found in re.finditer(re.escape(text), content))
    return any(_is_alone(content, start, end) for start, end in places)


def _is_alone(content: str, start: int, end: int) -> bool:
    """Whether a line begins there, perhaps with a label, and ends there."""
    before, after = content[max(0, start - REACH) : start], content[end : end + REACH]
    begins, ends = start <= REACH or "\n" in before, len(after) < REACH or "\n" in after
    before, after = before.rpartition("\n")[2], after.partition("\n")[0]
    return bool(begins and ends and BEFORE.fullmatch(before) and AFTER.fullmatch(after))
