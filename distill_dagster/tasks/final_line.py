"""The answer after its reasoning: the text that follows the last "Answer:" at the start of a line.

    "The note is silent on it.\n\nAnswer: neutral"      "neutral"
    "Paris"                                             "Paris": the whole text, since no line opens so
    "So it is\nAnswer:"                                 "": the answer was cut off

A student that learns reasoning and answer writes this form, and so do many models without being trained to.
"""

import re

ANSWER = "Answer:"
OPENING = re.compile(rf"^{ANSWER}", re.MULTILINE)
OPENINGS = re.compile(rf"\A(?:{ANSWER}\s*)+")


def after_answer(text: str) -> str:
    """The stated answer, or the whole text, without surrounding blanks."""
    found = list(OPENING.finditer(text))
    return text[found[-1].end() :].strip() if found else text.strip()


def bare_answer(text: str) -> str:
    """The stated answer without a repeated mark ("Answer: Answer: Paris"), so that parsing it again changes nothing."""
    return OPENINGS.sub("", after_answer(text))
