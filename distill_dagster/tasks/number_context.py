"""What stands beside a number in a plain text, and what that makes of it.

"CO2"  "18 m^2"  "COVID-19"         the 2 and the 19 are in a name: no number at all
"3x"  "2√3"  "10-15"  "(1, 2)"      parts of something else
"12 * 1.5 = 18"                     12 and 1.5 are parts of a product; 18 is a number
"**18** apples"  "- 4 apples"       Markdown: a star or a dash is an operation only between two operands
"5 million"  "2 and a half"         scaled by 10^6; one half is added
"""

import re
from fractions import Fraction

from distill_dagster.tasks.number_links import is_linked
from distill_dagster.tasks.number_words import (
    BETWEEN,
    CODES,
    LENGTHS,
    OPERATIONS,
    PART_ALONE,
    PARTIAL_AFTER,
    PARTIAL_BEFORE,
    PARTS,
    SCALES,
    UNCLEAR_SCALES,
    UNITS,
)

REACH, NEAR = 60, 24  # characters that are looked at on either side
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"  # no blanks between words
LETTER = rf"[^\W\d_{UNSPACED}]"
OPERAND = r"[0-9A-Za-z)\]°%π]"
ITEM = r"[-+]?(?:[0-9√π.][^\s,;()\[\]{}]*|[a-zA-Z]{1,2})"
MONEY = r"[$€£¥]?\s?"
AN_OPERATION = "|".join(OPERATIONS)
TWO = "|".join(BETWEEN)

NAME = re.compile(rf"(?P<word>{LETTER}\w*?)(?P<joint>[-_^]?)$")
BEHIND_SIGN = re.compile(
    rf"(?:[_^{{\\]|[\w)]\(|-\s*[({{\[|]\s*-?|--|[×÷√±≤≥≠]\s*|(?<![-=>\n])[<>]=?\s*|\\[a-zA-Z]+\s*\{{?\s*|[0-9][ \t]+"
    rf"|{OPERAND}(?:[*+/]|\s+[*+/]\s+)|[0-9)](?:-|\s+-\s+)|(?<!\w)[a-zA-Z](?:-|\s+-\s+)"
    rf"|(?:[=(]|\b(?:is|was|are|equals?)\b)\s*[—―]\s*|^\s*[—―]"  # a minus, or a dash of the text
    rf"|(?:\b(?:{TWO})|[0-9]\s*[,;])\s+[a-zA-Z]\s*=\s*|[0-9%]\s*&\s*{MONEY})$",
    re.IGNORECASE,
)
BEHIND_WORD = re.compile(
    rf"(?:[0-9%]\s*,?\s*\b(?:{TWO})\s+|[0-9]\s*x\s*|%\s+of\s+|[0-9)%]\s+(?:{AN_OPERATION})\s+"
    rf"|\b(?:{'|'.join(PARTIAL_BEFORE)})\s*\(?\s*){MONEY}$",
    re.IGNORECASE,
)
BEHIND_COMMA = re.compile(rf"(?:[(\[{{<]\s*(?:{ITEM}\s*[,;]\s*)+|[0-9%]\s*;\s*{MONEY})$")
RIGHT = re.compile(
    rf"[_^{{}}\\√π∞]|\([-0-9√π]|\([a-zA-Z][)+-]|\s*[×÷±≤≥≠]|\s*[<>]\s*{OPERAND}"
    rf"|(?:\*\*?|[+/])(?:[0-9(√]|[a-zA-Z]\b)|\s+[*+/]\s+[0-9a-zA-Z(√]|(?:-|\s+-\s+)(?:[0-9(√]|[a-zA-Z]\b)"
    rf"|[ \t]+[0-9]|\s*x\s*[0-9]"
    rf"|\s*(?:,?\s*\b(?:{TWO})\b|&|;)\s*{MONEY}[-0-9]|\s*(?:,?\s*\b(?:{TWO})|[,;])\s+[a-zA-Z]\s*="
    rf"|\s*%\s+of\s+{MONEY}[0-9]"
    rf"|\s+(?:{AN_OPERATION})\s+{MONEY}[0-9]|\s+(?:{'|'.join(PARTIAL_AFTER)})\b",
    re.IGNORECASE,
)
LISTED = re.compile(rf"\s*[,;]\s*{ITEM}\s*[,;)\]}}>]")
WORD = re.compile(rf"({LETTER}+)")
SCALE = re.compile(r"[ \t]{0,3}(?:([百千万萬亿億백천만억])|([^\W\d_][^\s\d.,;:!?()*%$€£]*))")
ENDS = re.compile(r"\s*(?:[.,;:!?)}$*]|\bof\b|\band\b|$)", re.MULTILINE)
AND_PART = re.compile(rf"\s+and\s+({'|'.join(PARTS)})\b", re.IGNORECASE)
MINUS = re.compile(  # a word, or a dash apart from its number, where none can be a bullet or join two words
    r"(?:\b(?:minus|negative)\s+|(?:[=:≈→(\[{$]|\b(?:is|was|are|be|equals?|becomes?|gives?|gets?|got|to|of|by))\s*-\s+)$",
    re.IGNORECASE,
)


def is_name(plain: str, start: int) -> bool:
    """Whether the digits belong to a name or a unit: "CO2", "m^2", "COVID-19". A variable ("x^2") is no name."""
    if not (start and (plain[start - 1].isalnum() or plain[start - 1] in "_^-")):
        return False
    found = NAME.search(plain[max(0, start - NEAR) : start])
    joint = plain[start] if found and not found["joint"] and plain[start] in "-+" else found["joint"] if found else ""
    if found is None or (joint == "" and found["word"] in CODES) or _is_unit(plain, start, found["word"], joint):
        return False
    if joint == "^":
        return found["word"] in UNITS or len(found["word"]) > 2
    return joint in ("", "_") or (joint == "-" and len(found["word"]) > 1)


def _is_unit(plain: str, start: int, word: str, joint: str) -> bool:
    """Whether the word is the unit of a number before it, so that the digits are a number too: "5kg-10kg", "2h30m"."""
    before = plain[: start - len(word)]
    glued = before[-1:].isdigit() and (joint == "-" or not (plain[start] in "23" and word in LENGTHS))
    return glued or (joint == "-" and word in UNITS and before[-2:-1].isdigit() and before[-1] == " ")


def is_part(plain: str, start: int, end: int) -> bool:
    """Whether the number is a part of an expression, a range, a list, or a word."""
    before, after = plain[max(0, start - REACH) : start], plain[end : end + REACH]
    word = WORD.match(after)
    if word and word[1] not in UNITS and len(word[1]) < 4:
        return True
    signed = plain[start : start + 1] in "+-" and _is_behind(before + plain[start])
    return (
        signed
        or (before.endswith("|") and after.startswith("|") and plain[start : start + 1] == "-")  # an absolute value
        or is_linked(plain, start, end)
        or _is_behind(before)
        or bool(RIGHT.match(after) or (before.rstrip().endswith(("(", "[", "{", "<")) and LISTED.match(after)))
    )


def _is_behind(before: str) -> bool:
    """Whether what precedes the number makes it a part of something."""
    last = before.rstrip().rstrip("$€£¥ ")[-1:]
    if last.isalpha():
        return bool(BEHIND_WORD.search(before[-NEAR:]) or BEHIND_SIGN.search(before[-NEAR:]))
    if last and last in ",;":
        return bool(BEHIND_COMMA.search(before))
    return bool(BEHIND_SIGN.search(before[-NEAR:]) or (last == "(" and BEHIND_WORD.search(before[-NEAR:])))


def scale(plain: str, end: int) -> tuple[Fraction | None, Fraction, int]:
    """The factor of the words behind a number (None if unclear), what they add, and where they end."""
    factor, started = Fraction(1), end
    while found := SCALE.match(plain, end):
        word = found[1] or found[2]
        if word.casefold() in UNCLEAR_SCALES or (word.casefold() in PART_ALONE and ENDS.match(plain, found.end())):
            return None, Fraction(0), end
        if word.casefold() not in SCALES:
            break
        factor, end = factor * SCALES[word.casefold()], found.end()
    if part := AND_PART.match(plain, end):
        behind = SCALE.match(plain, part.end())
        if end != started or (behind and (behind[1] or behind[2]).casefold() in SCALES):  # "2 and a half million"
            return None, Fraction(0), part.end()
        return factor, Fraction(*PARTS[part[1].casefold()]), part.end()
    return factor, Fraction(0), end


def sign_of(plain: str, start: int) -> int:
    """-1 behind a minus that is written as a word, or apart from its number; else 1."""
    return -1 if MINUS.search(plain[max(0, start - NEAR) : start]) else 1
