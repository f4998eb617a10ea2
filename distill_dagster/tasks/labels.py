"""Labels in a model's text: the forms in which models write a label, and the label that each form means.

For the label `card_arrival` a model writes "Card_arrival.", "Label: card_arrival" or "**card_arrival**", and all of
these count. A label may end in punctuation (Banking77 has `reverted_card_payment?`), so the comparison strips it from
both sides. A form that two labels of the set share is no answer.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

LEAD = re.compile(
    r"^(?:[\s*_`\"'(\[]*(?:the\s+)?(?:final\s+)?(?:answer|label)\s*(?:[:=]|\bis\b)[\s*:]*)+", re.IGNORECASE
)
WRAPPING = " \t\r\n*`\"'“”‘’()[]<>"
CLOSING = WRAPPING + ".,;:!?"


def drop_lead(text: str) -> str:
    """`text` without a leading "Answer:", "Label:" or "The answer is", and without surrounding blanks."""
    return LEAD.sub("", text, count=1).strip()


def normal_label(text: str) -> str:
    """The form in which labels are compared: case folded, blanks collapsed, without quotes and final punctuation."""
    bare = " ".join(text.split()).lstrip(WRAPPING).rstrip(CLOSING).casefold()
    return bare or text.strip().casefold()


@lru_cache(maxsize=64)
def _forms(labels: tuple[str, ...]) -> dict[str, str | None]:
    """Normal form -> label; None marks a form that two different labels share."""
    forms: dict[str, str | None] = {}
    for label in dict.fromkeys(labels):
        form = normal_label(label)
        forms[form] = None if form in forms else label
    return forms


def match_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that makes up the whole `text`, as `labels` spell it, or None."""
    for candidate in (text.strip(), drop_lead(text)):
        if candidate in labels:
            return candidate
        found = _forms(tuple(labels)).get(normal_label(candidate))
        if found is not None:
            return found
    return None
