"""The label that a text states: as the whole text, behind a mark, in a sentence, or before an explanation.

    "**Answer:** neutral\nThe note is silent."      neutral     the first line behind the mark
    "Nothing says so. The answer is **neutral**."   neutral     the sentence that names the answer, if it comes last
    "neutral, because the note is silent"           neutral     the label opens the text, which names no other (nli)
    "entailment or neutral"                         None

labels.py says which forms mean a label.
"""

import re
from collections.abc import Sequence

from distill_dagster.tasks.answer_mark import LABEL_KEYS, LABEL_NOUNS, stated
from distill_dagster.tasks.folding import folded
from distill_dagster.tasks.labels import WRAPPING, drop_lead, match_label, normal_label

SPOKEN = re.compile(
    r"\b(?:answer|label|relation(?:ship)?|classification|category|verdict)\s*(?:\bis\b|would be|[:=：])[\s*:]*",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"[.;!?\n](?:\s|$)|\n")


def stated_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that makes up `text`, that it states behind a mark, or that its last sentence names; else None."""
    inner = _stated(text)
    if found := match_label(text, labels) or match_label(inner, labels):
        return found
    if inner != text.strip() and inner:
        line = inner.splitlines()[0]
        return match_label(line, labels) or leading_label(inner, labels)
    return _spoken(inner, labels)


def _stated(text: str) -> str:
    return stated(text, nouns=LABEL_NOUNS, keys=LABEL_KEYS)


def _spoken(text: str, labels: Sequence[str]) -> str | None:
    """The label behind the last "the answer is", where that sentence ends the text."""
    said = list(SPOKEN.finditer(text))
    if not said:
        return None
    rest = text[said[-1].end() :]
    sentence = SENTENCE_END.split(rest, maxsplit=1)[0]
    return match_label(sentence, labels) or (match_label(rest, labels) if sentence != rest else None)


def leading_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that opens what `text` states, closed by punctuation or a line end; None if it names another too."""
    said = drop_lead(_stated(text))
    named = _named(" ".join(folded(line) for line in said.splitlines()), labels)
    if len(named) != 1:
        return None
    is_shared = sum(normal_label(label) == normal_label(named[0]) for label in labels) > 1
    ends = ".,;:" if is_shared else ".,;:!?"  # "1!" is neither 1 nor 1*
    closed = rf"{re.escape(folded(named[0]))}[{re.escape(WRAPPING.strip())}]*(?:[{ends}]|\s+[-(]|\s*$)"
    line = said.lstrip(WRAPPING).splitlines()[0] if said.strip(WRAPPING) else ""
    return named[0] if re.match(closed, folded(line)) else None


def _named(text: str, labels: Sequence[str]) -> list[str]:
    """The labels that a folded text names; a label inside a longer one ("agree" in "do not agree") is not named."""
    named = []
    for label in sorted(labels, key=lambda one: -len(folded(one))):
        form = re.compile(rf"(?<!\w){re.escape(folded(label))}(?!\w)")
        if folded(label) and form.search(text):
            named.append(label)
            text = form.sub("\0", text) if sum(folded(one) == folded(label) for one in labels) == 1 else text
    return named


def only_line(text: str) -> str | None:
    """The one line that `text` states, without a lead; None where it has several, or none."""
    while True:
        line = drop_lead(_stated(text))
        if line == text:
            return line if line and len(line.splitlines()) == 1 else None
        text = line
