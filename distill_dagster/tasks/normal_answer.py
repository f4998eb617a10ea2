"""The form in which two short answers are compared: SQuAD's, and what SQuAD's lacks for numbers and other languages.

    "The Eiffel Tower."     eiffel tower        "A", "A."         a           articles alone stay
    "$5.00"  "5"            5                   "3.14"  "314"     3.14  314
    "1,000"                 1000                "-5"              -5
    "10-15"  "5:30"         10 15  5 30         "«Лион»"          лион

SQuAD's script lowers the case and deletes ASCII punctuation, articles and extra blanks (Rajpurkar et al. 2016, section
6.1). That makes one answer of 3.14 and 314, and of -5 and 5. Here a number keeps its sign and its point, and other
punctuation between digits becomes a blank. Case is folded, and punctuation deleted, in every script; for English words
the result is SQuAD's.
"""

import string

import regex

from distill_dagster.tasks.folding import folded

ARTICLES = regex.compile(r"\b(?:a|an|the)\b")
NUMBER = regex.compile(
    r"(?<![\w.,:/-])(?P<minus>-[$€£¥]?|[$€£¥]-)?[$€£¥]?(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]*)(?P<part>\.[0-9]+)?"
    r"(?![\w/:-]|[.,][0-9])"
)
BETWEEN_DIGITS = regex.compile(r"(?<=[0-9])[^\w\s\ue000\ue001](?=[0-9])")
PUNCTUATION = regex.compile(rf"[{regex.escape(string.punctuation)}]|\p{{P}}")
SIGN, POINT = "\ue000", "\ue001"  # in the place of a number's own signs while punctuation is deleted


def normal_answer(text: str) -> str:
    """`text` as it is compared; one of articles alone keeps them, and one of punctuation alone stays as it is."""
    plain = folded(text)
    marked = BETWEEN_DIGITS.sub(" ", NUMBER.sub(_number, plain))
    bare = PUNCTUATION.sub("", marked).replace(SIGN, "-").replace(POINT, ".")
    return " ".join(ARTICLES.sub(" ", bare).split()) or " ".join(bare.split()) or plain


def _number(found: regex.Match[str]) -> str:
    whole, part = found["whole"].replace(",", ""), (found["part"] or "").rstrip("0").rstrip(".")
    if not whole and not part:
        return found[0]
    return f"{SIGN if found['minus'] else ''}{whole or '0'}{part.replace('.', POINT)}"
