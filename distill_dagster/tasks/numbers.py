"""Numbers in running text, as exact fractions: "$1,200.50", "-3", "1 1/2", "\\frac{3}{4}", "40%".

Percent and currency signs are units, as in GSM8K, where the answer to "what percent" is 40 and not 0.4. A text that
only looks like a number ("1,20", "3/4/2021", "1.2.3") is None; no part of it counts as a number.
"""

import re
from collections.abc import Iterator
from fractions import Fraction

FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*([0-9]+)\s*\}\s*\{\s*([0-9]+)\s*\}")
DIGITS = r"(?:[0-9]+(?:,[0-9]+)*(?:\.[0-9]+)*|\.[0-9]+)"
NUMBER = re.compile(
    r"(?P<minus>(?<![0-9A-Za-z)\]])[-−–])?(?:[$€£¥]\s?(?P<inner>[-−])?)?"  # 5-3 does not contain minus three
    r"(?:(?P<whole>[0-9]+)\s+(?=[0-9]+/))?"
    rf"(?P<top>{DIGITS}(?:[eE][-+]?[0-9]+)?)(?P<bottom>(?:\s?/\s?[0-9]+)*)"
)
PLAIN = re.compile(r"(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)?(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?")
LONGEST = 60  # characters; a longer run of digits is noise and takes quadratic time to convert


def plain_math(text: str) -> str:
    """`text` with the LaTeX in and around numbers as plain text: \\frac{3}{4} as 3/4, 1{,}200 as 1,200."""
    for latex, plain in (("{,}", ","), ("\\!", ""), ("\\,", " "), ("\\$", "$"), ("\\%", "%")):
        text = text.replace(latex, plain)
    return FRACTION.sub(r"\1/\2", text)


def _value(found: re.Match[str]) -> Fraction | None:
    """The value of a match, or None where it only looks like a number."""
    top, bottom, whole = found["top"], found["bottom"].replace(" ", ""), found["whole"] or "0"
    if len(found[0]) > LONGEST or not PLAIN.fullmatch(top) or bottom.count("/") > 1:
        return None
    value = Fraction(top.replace(",", ""))
    if bottom:
        divisor = int(bottom[1:])
        if divisor == 0:
            return None
        value /= divisor
    value += int(whole)
    return -value if found["minus"] or found["inner"] else value


def numbers_in(text: str) -> Iterator[Fraction | None]:
    """The numbers in `text`, in order, with None for each malformed one."""
    return (_value(found) for found in NUMBER.finditer(plain_math(text)))


def decimal_form(value: Fraction) -> str:
    """The shortest exact form of `value`: "18", "-0.5", and "1/3" where the decimals do not end."""
    rest, places = value.denominator, 0
    while rest % 2 == 0 or rest % 5 == 0:
        rest //= 10 if rest % 10 == 0 else 2 if rest % 2 == 0 else 5
        places += 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    if places == 0:
        return str(value.numerator)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")
