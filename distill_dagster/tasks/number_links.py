"""Whether two neighbouring numbers are one amount, a range or a relation, so that neither is the whole answer.

"5%-10%"  "5 kg to 10 kg"  "1..2"      ranges
"2 hours 30 minutes"  "5'6\\""          one amount in two units
"3 out of 4"  "5 R 2"  "4C2"           relations
"3 apples and 5 oranges"               two amounts
"After 2 hours, 30 people remain"      two numbers that have nothing to do with each other

A link is the text between two numbers of a line, the sign of the second one included.
"""

import re
from collections.abc import Iterable

from distill_dagster.tasks.number_words import (
    CLOCK,
    DOZENS,
    JOINTS,
    MEASURES,
    OPERATIONS,
    SCALES,
    UNCLEAR_SCALES,
    UNITS,
)

LONGEST = 40  # characters of a link
BEHIND = re.compile(rf"[0-9]([^0-9\n]{{0,{LONGEST}}})$")
AHEAD = re.compile(rf"([^0-9\n]{{1,{LONGEST}}})([0-9][0-9.,/]*)")
POWER = re.compile(r"\s?(?:mm|cm|dm|km|m|ft|in|yd|mi)(?=[23](?![0-9A-Za-z]))")  # "18 m2"


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


WORD = r"[^\W\d_]+"
MEASURE = rf"(?:(?:{_any(MEASURES)})(?![^\W\d_])\.?|°|[a-z]*(?:{_any(CLOCK)})|['′\"″])"
UNIT_WORD = _any(UNITS | MEASURES | SCALES.keys() | UNCLEAR_SCALES)
UNIT = rf"(?:\s?(?:%|°\s?[CF]?|(?:{UNIT_WORD})(?![^\W\d_])(?:/[a-z]+)?))"
MONEY = r"(?:[$€£¥₹₽₩]\s?|US\$)?"
LINK = re.compile(
    rf"{UNIT}?\s*(?:-|~|\.{{2,}}|,?\s*\.{{2,}},)\s*{MONEY}"  # ranges
    rf"|{UNIT}?,?\s*\(?(?:\+\s*/\s*-|±)\s*"
    rf"|{UNIT}?\s+(?:{_any(OPERATIONS)})\s+{MONEY}-?"
    rf"|(?:{UNIT}|\s+{WORD})?\s+(?:out\s+of|of|von|sur|de|van|di|su|из|for\s+(?:every|each)|per|vs\.?|versus)"
    rf"\s+(?:(?:the|every|each|a total of|his|her|its|their|your|my)\s+)?{MONEY}"
    rf"|\s?[,(]?\s*(?:(?:and|with)\s+)?(?:an?\s+)?(?:remainder|rem\.?|r|rest|reste|resto|restante|остаток)(?:\s+of)?\s*[:=]?\s*"
    rf"|\s+\(?(?:in\s+)?(?:base|mod|modulo)\s+"
    rf"|(?:\s+{WORD}){{1,2}},?\s+(?:and|or|und|oder|et|ou|y|e|en|и|или)\s+{MONEY}-?"
    rf"|(?:\s?{WORD})?\s*(?:{_any(JOINTS)})\s*"
    r"|[A-Za-z]{1,2}"  # "4C2", "2h30"
    r"|\s?(?:'|′|ft\.?|feet|foot|heures?|uhr)\s*",
    re.IGNORECASE,
)
TWO_UNITS = re.compile(rf"\s?-?{MEASURE},?\s*(?:(?:and|und|et|y|e|en|и)\s+)?", re.IGNORECASE)
TAIL = re.compile(rf"[0-9.,/]*\s?-?{MEASURE}", re.IGNORECASE)
IN = re.compile(rf"{UNIT}?\s+in\s+(?:every\s+)?", re.IGNORECASE)
YEAR = re.compile(r"(?:19|20)[0-9]{2}(?![0-9])")
RATIO = re.compile(r"\bratio\b[^\n]*$", re.IGNORECASE)
COLON = re.compile(r"\s*:\s*")
DOZEN = re.compile(rf"\s+(?:{_any(DOZENS)})\s+(?:of\s+)?{WORD}", re.IGNORECASE)  # "5 dozen" alone counts dozens


def is_linked(plain: str, start: int, end: int) -> bool:
    """Whether the number at `start` to `end`, sign included, belongs with the number before or behind it."""
    number = start + (plain[start : start + 1] in "+-")
    after = plain[end : end + LONGEST + 20]
    before = BEHIND.search(plain[max(0, number - LONGEST - 1) : number])
    if before and _links(before[1], plain[number : end + 20], plain[:number]):
        return True
    ahead = AHEAD.match(after)
    is_power = ahead is not None and POWER.match(after) is not None
    if ahead and not is_power and _links(ahead[1], after[ahead.start(2) :], plain[:end]):
        return True
    return DOZEN.match(after) is not None


def _links(link: str, second: str, before: str) -> bool:
    """Whether a link joins two numbers; `second` begins with the second one, `before` ends before the link."""
    link = link.replace("*", "").replace("_", "") if link.strip(" *_") else link
    if LINK.fullmatch(link):
        return True
    if TWO_UNITS.fullmatch(link) and TAIL.match(second):
        return True
    if IN.fullmatch(link) and not YEAR.match(second):
        return True
    return bool(COLON.fullmatch(link) and " " in link[:1] and RATIO.search(before[-60:]))
