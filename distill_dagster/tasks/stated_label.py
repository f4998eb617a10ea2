"""The label that a text states: as the whole text, behind a mark, in a box or a sentence, or before an explanation.

    "**Answer:** neutral\nThe note is silent."      neutral     the first line behind the mark
    "Nothing says so. The answer is **neutral**."   neutral     the last sentence that names the answer
    "$\\boxed{\\text{neutral}}$"                    neutral
    "Answer: entailment\\nWait, no: neutral."        neutral     a text that corrects itself, see corrections.py
    "neutral, because the note is silent"           neutral     the label opens the text, which names no other (nli)
    "entailment or neutral"                         None

labels.py says which forms mean a label.
"""

import re
from collections.abc import Sequence

from distill_dagster.tasks.answer_mark import LABEL_KEYS, LABEL_NOUNS, stated_and_rest
from distill_dagster.tasks.boxes import last_box
from distill_dagster.tasks.corrections import last_stated, named
from distill_dagster.tasks.folding import folded
from distill_dagster.tasks.labels import WRAPPING, drop_lead, match_label, normal_label

TAGS = ("label", "class", "classification", "category", "prediction", "verdict", "output", "result")
ITEM = re.compile(r"(?:[-*•–]|\(?(?P<place>[A-Za-z0-9]{1,2})[).:])\s+(?P<rest>[^\n]+)")


def stated_label(text: str, labels: Sequence[str]) -> str | None:
    """The last label that a text states: as the whole text, behind a mark, in a box or in a sentence; else None."""
    if found := match_label(text, labels) or _item(text.strip(), labels):
        return found
    inner, behind = _stated(text)
    if box := last_box(inner):
        found = None if box.is_one_of_several else match_label(box.words, labels)
        return last_stated(box.behind + behind, labels, found) if found else None
    if found := match_label(inner, labels):
        return last_stated(behind, labels, found)
    if inner == text.strip() or not inner:
        return last_stated(inner, labels)
    line, *lines = inner.splitlines()
    if found := match_label(line, labels) or _item(line, labels):
        return last_stated("\n".join([*lines, behind]), labels, found)
    return leading_label(inner, labels)


def _item(line: str, labels: Sequence[str]) -> str | None:
    """The label behind the bullet or the place of an item: "- neutral", "A) Paris". A place may be a label itself."""
    found = ITEM.fullmatch(line)
    if found is None or match_label(found["place"] or "-", labels) or found["rest"][0].isdigit():
        return None
    return match_label(found["rest"], labels)


def _stated(text: str) -> tuple[str, str]:
    return stated_and_rest(text, nouns=LABEL_NOUNS, keys=LABEL_KEYS, tags=TAGS)


def leading_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that opens what `text` states, closed by punctuation or a line end; None if it names another too."""
    inner, behind = _stated(text)
    said = drop_lead(inner)
    names = named(" ".join(folded(line) for line in said.splitlines()), labels)
    if len(names) != 1:
        return None
    label = names[0]
    is_shared = sum(normal_label(one) == normal_label(label) for one in labels) > 1
    ends = ".,;:" if is_shared else ".,;:!"  # "1!" is neither 1 nor 1*, and "neutral? No." is a question
    closed = rf"{re.escape(folded(label))}[{re.escape(WRAPPING.strip())}]*(?:[{ends}]|\s+[-(]|\s*$)"
    line, *lines = said.lstrip(WRAPPING).splitlines() if said.strip(WRAPPING) else [""]
    opening = re.match(closed, folded(line))
    return last_stated("\n".join([folded(line)[opening.end() :], *lines, behind]), labels, label) if opening else None


def only_line(text: str) -> str | None:
    """The one line that `text` states, without a lead; None where it has several, or none."""
    while True:
        line = drop_lead(_stated(text)[0])
        if line == text:
            return line if line and len(line.splitlines()) == 1 else None
        text = line
