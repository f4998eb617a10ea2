"""The answer behind its reasoning: what stands after the last line that opens with "Answer:".

    "The note is silent on it.\n\nAnswer: neutral"      "neutral"
    "Paris"                                             "Paris": no such line, so all of it
    "So it is\nAnswer:"                                 "": the answer was cut off

A student that learns reasoning and answer writes this form, as do many models by themselves.
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
    """The same without a mark that is said twice ("Answer: Answer: Paris"), so that it has no such line itself."""
    return OPENINGS.sub("", after_answer(text))
