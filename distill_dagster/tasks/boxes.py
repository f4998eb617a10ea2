"""The box of LaTeX in which a text states its answer.

"So it is $\\boxed{\\frac{1}{2}}$."       inside "\\frac{1}{2}", behind "$."
"\\boxed{\\text{Paris}}"                  words "Paris"
"\\boxed{12"                              inside "": it was cut off
"$\\boxed{1}$ or $\\boxed{2}$"            one of several: the text states no single answer
"""

import re
from typing import NamedTuple

from distill_dagster.tasks.number_words import BETWEEN
from distill_dagster.tasks.plain_math import TEXT

BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
JOINT = re.compile(
    rf"[\s$.,;]{{0,9}}(?:\\text\{{)?\s?(?:{'|'.join(BETWEEN)}|\\lor|\\land|或|和|と)?\s?\}}?[\s$]{{0,9}}"
    r"(?:[a-zA-Z](?:_\{?\w\}?)?\s?=)?[\s$]{0,9}",
    re.IGNORECASE,
)


class Box(NamedTuple):
    """What the last box of a text holds, and the text behind it."""

    inside: str
    behind: str
    is_one_of_several: bool = False  # nothing but a word such as "or" parts it from another box before it

    @property
    def words(self) -> str:
        """The content without commands for text, if words are all it holds."""
        bare = TEXT.sub(r"\1", self.inside).replace("\\ ", " ").replace("~", " ").strip()
        return self.inside.strip() if "\\" in bare else bare


def last_box(text: str) -> Box | None:
    """The last box of `text`, or None."""
    start, before = None, None
    for found in BOXED.finditer(text):
        start, before = found, start
    if start is None:
        return None
    last = _box(text, start.end())
    return last._replace(is_one_of_several=before is not None and _are_joined(text, before, start, last))


def _are_joined(text: str, before: re.Match[str], start: re.Match[str], last: Box) -> bool:
    """Whether the box that `before` opens, which holds something else, precedes the last one in a list."""
    other = _box(text, before.end())
    end = len(text) - len(other.behind)
    is_other = end <= start.start() and other.inside.strip() != last.inside.strip()
    return is_other and JOINT.fullmatch(text, end, start.start()) is not None


def _box(text: str, start: int) -> Box:
    """The text between the brace that opens just before `start` and the one that closes it."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return Box(text[start:position], text[position + 1 :])
    return Box("", "")  # never closed: cut off
