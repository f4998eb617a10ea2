"""The form in which two short answers are compared: SQuAD's, and what SQuAD's lacks for numbers and other languages.

    "The Eiffel Tower."     eiffel tower        "A", "A."         a           articles alone stay
    "$5.00"  "5"            5                   "3.14"  "314"     3.14  314
    "1,000"                 1000                "-5"              -5
    "10-15"  "5:30"         10 15  5 30         "«Лион»"          лион
    "p < 0.05"  "p>0.05"    p<0.05  p>0.05      "C++"  "A-"       c++  a-
    "-1.50kg"               -1.5kg              "1.5e-3"  "१.५"   1.5e-3  1.5

SQuAD's script lowers the case and deletes ASCII punctuation, articles and extra blanks (Rajpurkar et al. 2016, section
6.1). That makes one answer of 3.14 and 314, of -5 and 5, of <5 and >5, and of C, C# and C++. Here a number keeps its
sign, its point and a comparison before it, a letter or two keep `+`, `-` and `#` behind them, and other punctuation
between digits becomes a blank. Case is folded, digits are Western, and punctuation is deleted, in every script; for
English words the result is SQuAD's. docs/scores.md lists the differences and what they change in SQuAD's own set.

A currency is not compared ("$5" is 5), unless both answers name one, and not the same: `clash` tells €5 from $5.
"""

import string
import unicodedata

import regex

from distill_dagster.tasks.folding import folded

ARTICLES = regex.compile(r"\b(?:a|an|the)\b")
NUMBER = regex.compile(
    r"(?<![\w.,:/-])(?P<minus>-[$€£¥]?|[$€£¥]-)?[$€£¥]?(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]*+)(?P<part>\.[0-9]++)?+"
    r"(?P<power>e[+-]?[0-9]++)?+(?![0-9_/:-]|[.,][0-9])"
)
BETWEEN_DIGITS = regex.compile(r"(?<=[0-9])[^\w\s\ue000\ue001\ue010-\ue017](?=[0-9])")
PUNCTUATION = regex.compile(rf"[{regex.escape(string.punctuation)}]|\p{{P}}")
COMPARED = regex.compile(r"\s*(?<![-=<>])(?:<=|>=|[<>≤≥≠](?!=))\s*(?=[-+]?[$€£¥]?\.?[0-9])")  # "<5", "p > 0.05"
GRADE = regex.compile(r"(?<![\w+#-])(?:[a-z]|ab)(?:\+{1,2}|#|-)(?![\w+#-])")  # C++, C#, A-, blood group AB+
NAME_PLUS = regex.compile(r"(?<=[a-z])\+\+(?!\w)")  # Notepad++
CURRENCY = regex.compile(r"[$€£¥₹₽₩]")
DIGIT, WESTERN = regex.compile(r"[\p{Nd}٫٬]"), {"٫": ".", "٬": ","}
SIGN, POINT = "\ue000", "\ue001"  # in the place of a number's own signs while punctuation is deleted
KEPT = dict(zip("<>≤≥≠+-#", map(chr, range(0xE010, 0xE018)), strict=True))
HIDE, SHOW = str.maketrans(KEPT), str.maketrans({there: here for here, there in KEPT.items()})


def normal_answer(text: str) -> str:
    """`text` as it is compared; one of articles alone keeps them, and one of punctuation alone stays as it is."""
    plain = _western(folded(text))
    marked = GRADE.sub(_hidden, NAME_PLUS.sub(_hidden, COMPARED.sub(_comparison, plain)))
    marked = BETWEEN_DIGITS.sub(" ", NUMBER.sub(_number, marked))
    bare = PUNCTUATION.sub("", marked).replace(SIGN, "-").replace(POINT, ".").translate(SHOW)
    return " ".join(ARTICLES.sub(" ", bare).split()) or " ".join(bare.split()) or plain


def clash(answer: str, reference: str) -> bool:
    """Whether both texts name a currency, and not the same."""
    mine, theirs = (set(CURRENCY.findall(folded(text))) for text in (answer, reference))
    return bool(mine and theirs) and mine != theirs


def _hidden(found: regex.Match[str]) -> str:
    return found[0].translate(HIDE)


def _comparison(found: regex.Match[str]) -> str:
    return found[0].strip().replace("<=", "≤").replace(">=", "≥").translate(HIDE)


def _number(found: regex.Match[str]) -> str:
    whole, part = found["whole"].replace(",", ""), (found["part"] or "").rstrip("0").rstrip(".")
    if not whole and not part:
        return found[0]
    power = (found["power"] or "").replace("+", "").replace("-", SIGN)
    return f"{SIGN if found['minus'] else ''}{whole or '0'}{part.replace('.', POINT)}{power}"


def _western(text: str) -> str:
    """`text` with the digits 0 to 9 in the place of those of other scripts, as with the Arabic point and comma."""
    return text if text.isascii() else DIGIT.sub(lambda found: WESTERN.get(found[0]) or _digit(found[0]), text)


def _digit(char: str) -> str:
    return str(unicodedata.decimal(char))
