"""Labels in a model's text: the forms in which models write a label, and the label of the set that each form means.

For the label `card_arrival` a model writes "Card_arrival.", "Label: card_arrival" or "**card_arrival**", and all of
these count, in any form of Unicode. A comparison that is loose enough for that would make one label of `yes?` and
`yes!`, of `1*` and `1`, or of `US` and `us`. So a text is compared strictly first, and more loosely only where that
finds nothing; a form that two labels of the set share is no answer.

    labels {"1*", "1"}      "1*" is 1*      "**1**" is 1      "1!" is None: it is neither, and only loosely both
    labels {"yes", "no"}    "Yes!" is yes

Parser, score, balance and report all compare labels here.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from distill_dagster.tasks.folding import composed, folded

LEAD = re.compile(
    r"^(?:[\s*_`\"'(\[]*(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|label)\s*(?:[:=：]|\bis\b)[\s*:]*)+", re.IGNORECASE
)
WRAPPING = " \t\r\n*`\"'“”‘’()[]<>«»「」『』【】"
CLOSING = WRAPPING + ".,;:!?。、，；：！？।"
STOPS = ".。।"
PAIRS = ("**", "__", "*", "_", "`", '"', "'", "$", "“”", "‘’", "«»", "()", "[]", "<>", "{}", "「」", "『』", "【】")
DEEPEST = 8
Form = Callable[[str], str]


def drop_lead(text: str) -> str:
    """`text` without a leading "Answer:", "Label:" or "The answer is", and without surrounding blanks."""
    return LEAD.sub("", text, count=1).strip()


def normal_label(text: str) -> str:
    """The loosest form: folded, without quotes, markup and final punctuation. Different labels may share it."""
    plain = folded(text)
    return plain.lstrip(WRAPPING).rstrip(CLOSING) or plain


FORMS: tuple[Form, ...] = (str.strip, composed, folded)  # from the strictest


def _unwrapped(text: str) -> Iterator[str]:
    """`text`, then without its full stop or an enclosing pair of marks, then without the next, and so on."""
    for _ in range(DEEPEST):
        text = text.strip()
        yield text
        inner = text[:-1] if len(text) > 1 and text[-1] in STOPS else _inside_pair(text)
        if not inner or not inner.strip():
            return
        text = inner


def _inside_pair(text: str) -> str | None:
    for pair in PAIRS:
        opens, closes = (pair, pair) if pair[0] == pair[-1] else (pair[0], pair[1])
        if len(text) > len(opens + closes) and text.startswith(opens) and text.endswith(closes):
            return text[len(opens) : -len(closes)]
    return None


@lru_cache(maxsize=256)
def _table(labels: tuple[str, ...], form: Form) -> dict[str, str | None]:
    """Form -> label; None marks a form that two different labels share."""
    table: dict[str, str | None] = {}
    for label in dict.fromkeys(labels):
        key = form(label)
        table[key] = None if key in table else label
    return table


def match_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that makes up the whole `text`, as `labels` spell it, or None."""
    known = tuple(labels)
    found, is_certain = _matched(text, known)
    return found if is_certain else _matched(drop_lead(text), known)[0]


def _matched(text: str, labels: tuple[str, ...]) -> tuple[str | None, bool]:
    """The label, and whether the search may end: a form that labels share is not compared more loosely."""
    inner = list(_unwrapped(text))
    for form in FORMS:
        table = _table(labels, form)
        for candidate in inner:
            key = form(candidate)
            if key in table:
                return table[key], True
    found = _table(labels, normal_label).get(normal_label(text))
    return found, found is not None


def label_key(text: str, labels: Sequence[str] | None) -> str:
    """Equal for two texts that mean the same label: the label of the set, or the text itself if it means none of them.

    Without a set nothing says which loose forms are labels of their own, so only markup, a full stop, case and the form
    of Unicode are ignored.
    """
    if labels:
        return match_label(text, labels) or text.strip()
    *_, inner = _unwrapped(text)
    return folded(inner)
