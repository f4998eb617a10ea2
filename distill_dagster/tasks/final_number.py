"""The number that a solution ends on, and the place where it states it.

    "… so 12 * 1.5 = 18.\n#### $18.00"       18        behind the last ####, as GSM8K ends its solutions
    "… \\boxed{\\frac{1}{2}}"                0.5       in the last \\boxed{}, which must hold a number and nothing else
    "**Answer:** 42"                          42        behind the last mark, see answer_mark.py
    "The answer is 1,200 apples, not 5."      1200      behind the last "answer is"
    "She has 3 left."                         3         else the last number of the text
    "\\boxed{2\\sqrt{3}}"  "#### 3 or 5"      None      not one number: no part of it is taken for the whole

A mark without a number behind it means that the answer was cut off, which is None: the numbers before it are steps.
"""

import re
from fractions import Fraction

from distill_dagster.tasks.answer_mark import stated
from distill_dagster.tasks.boxes import last_box
from distill_dagster.tasks.number_words import BETWEEN, NUMERALS, UNITS
from distill_dagster.tasks.numbers import found_in, last_in
from distill_dagster.tasks.plain_math import plain_math
from distill_dagster.tasks.trailing_notes import without_notes

MARKER = "####"
HEADING = re.compile(  # "#### Step 2" with text below it is no marker
    r"^[ \t]*#{1,6}[ \t]+(?!\W*(?:final\s+)?answer)[^\W\d_][^\n]*\n", re.MULTILINE | re.IGNORECASE
)
SPOKEN = re.compile(r"\banswers?\b\W{0,4}(?:(?:is|are)\b|[:=](?=[^0-9A-Za-z]{0,8}[0-9]))", re.IGNORECASE)
CLAUSE_END = re.compile(r"[;(]|[.,]\s+(?=[^\W\d])|$")
APART = re.compile(r"\A[^\w\n]*?[-−‐‑‒–﹣－]\s+(?=[0-9.$€£¥])")  # "- 5" right behind a mark is minus five
LONG_DASH = re.compile(r"\A[^\w\n]*?[—―⸺]\s*(?=[0-9.$€£¥])")  # a minus, or a dash of the text
ANOTHER = re.compile(r"\s*,\s*[-+]?[0-9]|[^=]{0,12}[,;]\s*(?:and\s+|or\s+)?[a-zA-Z]\s*=")  # a list, or a second unknown
LIST = re.compile(r"[^\w\n]*[-+]?[0-9.]+(?:\s*[,;]\s+[-+]?[0-9.]+)+[^\w\n]*")
UNIT_SIGNS = re.compile(r"(?<=[^\W\d_])(?:/(?=[^\W\d_])|\^-?[0-9])")
OPERATION = re.compile(
    rf"[\\√π∞^!±×÷*/+<>|≤≥≠—―]|(?<![^\W\d_])-|-(?![^\W\d_])|\b(?:{'|'.join((*BETWEEN, 'to', 'bis', 'hasta', 'до'))})\b",
    re.IGNORECASE,
)
SECOND = re.compile(
    r"=[^=]*[0-9][^=]*[^0-9a-zA-Z=]\s*[a-zA-Z](?:_?\{?[0-9]\}?)?'?\s*$"
)  # "x = 1 or x" before a second "="
SIGN = re.compile(r"(?:^|(?<=[=({]))\s*(?:\{\s*-\s*\}|-)\s*(?=[0-9.$€£¥({])")  # "- 5" in a box is minus five
ENCLOSED = re.compile(r"(-?)[({]\s*(-?\s?[$€£¥]?[0-9][0-9.,/]*)\s*[)}]")


def final_number(text: str) -> Fraction | None:
    """The number that the text states as its answer, or its last number; None without one."""
    place, kind = final_place(text)
    if kind == "box":
        return only_number(place)
    return leading_number(place) if kind == "mark" else last_number(place)


def final_place(text: str) -> tuple[str, str]:
    """The part of `text` that states the answer, and what marks it: `mark`, `box`, or `end` for the end of the text."""
    text = without_notes(text)
    headless = HEADING.sub("", text + "\n") if "#" in text else text
    behind = headless.rpartition(MARKER)[2].strip()
    if MARKER in headless and stated(behind) == behind:
        return behind, "mark"
    said = stated(text)
    if box := last_box(said):
        return "" if box.is_one_of_several else box.inside, "box"
    if spoken := list(SPOKEN.finditer(said)):
        sentence = said[spoken[-1].end() :]
        if NUMERALS.intersection(re.findall(r"[a-z]+", sentence.casefold())[:4]):  # "the answer is twelve"
            return sentence, "mark"
        if any(True for _ in found_in(plain_math(sentence))):
            return sentence, "mark"
    return (said, "mark") if said != text.strip() and said[:1] in "0123456789$€£¥-−‐‑‒–—―﹣－\\" else (said, "end")


def leading_number(text: str) -> Fraction | None:
    """The first number of the first line that holds one; in an equation, the first one right of its last `=`."""
    if LONG_DASH.match(text):
        return None
    for line in APART.sub("-", text).splitlines():
        plain = plain_math(line)
        found = list(found_in(plain))
        if not found:
            continue
        end = CLAUSE_END.search(plain, found[0].end)
        clause = plain[: end.start() if end else None]
        if "=" in clause:
            start = clause.rindex("=")
            found = [one for one in found if one.start > start] or found
        return None if ANOTHER.match(plain, found[0].end) else found[0].value
    return None


def only_number(text: str) -> Fraction | None:
    """The number that `text` consists of; a unit, and an "x =" before it, are allowed."""
    plain = _joined_signs(plain_math(text))
    start = plain.rfind("=") + 1
    if start and SECOND.search(plain, 0, start - 1):
        return None
    found = [one for one in found_in(plain) if one.start >= start]
    if len(found) != 1:
        return None
    rest = UNIT_SIGNS.sub("", f"{plain[start : found[0].start]} {plain[found[0].end :]}")
    variables = [word for word in re.findall(r"\b[a-zA-Z]\b", rest) if word not in UNITS]
    return None if OPERATION.search(rest) or variables else found[0].value


def _joined_signs(plain: str) -> str:
    """A minus beside its number: "- 5", "{-}5", "-(5)" and "(- 5)" become "-5"."""
    plain = SIGN.sub("-", plain.strip())
    enclosed = ENCLOSED.fullmatch(plain.rpartition("=")[2].strip())
    if enclosed is None or (enclosed[1] and "-" in enclosed[2]):
        return plain
    return enclosed[1] + enclosed[2].replace(" ", "")


def last_number(text: str) -> Fraction | None:
    """The last number of the text; None where it is malformed, a part of something else, or the last of a bare list."""
    plain = plain_math(text).strip()
    found = last_in(plain)
    return found.value if found and not LIST.fullmatch(plain.rpartition("\n")[2]) else None
