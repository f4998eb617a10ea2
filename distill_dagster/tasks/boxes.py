"""The box of LaTeX in which a text states its answer.

"So it is $\\\\boxed{\\\\frac{1}{2}}$."      inside "\\\\frac{1}{2}", behind "$."
"\\\\boxed{\\\\text{Paris}}"                words "Paris"
"\\\\boxed{12"                            inside "": it was cut off
"""

import re
from typing import NamedTuple

from distill_dagster.tasks.plain_math import TEXT

BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")


class Box(NamedTuple):
    """What the last box of a text holds, and the text behind it."""

    inside: str
    behind: str

    @property
    def words(self) -> str:
        """The content without commands for text, if words are all it holds."""
        bare = TEXT.sub(r"\1", self.inside).replace("\\ ", " ").replace("~", " ").strip()
        return self.inside.strip() if "\\" in bare else bare


def last_box(text: str) -> Box | None:
    """The last box of `text`, or None."""
    start = 0
    for found in BOXED.finditer(text):
        start = found.end()
    return _box(text, start) if start else None


def _box(text: str, start: int) -> Box:
    """The text between the brace that opens just before `start` and the one that closes it."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return Box(text[start:position], text[position + 1 :])
    return Box("", "")  # never closed: cut off
