"""Numbers in running text, as exact fractions: "$1,200.50", "-3", "1 1/2", "\\\\frac{3}{4}", "40%", "1.5 × 10^3".

Percent and currency signs are units, as in GSM8K, where the answer to "what percent" is 40 and not 0.4. A text that
only looks like a number ("1,20", "3/4/2021", "1.2.3"), or is a part of something else ("3x", "2√3", "10-15", "(1, 2)"),
is None: no part of it counts as a number. Digits in a name or a unit ("CO2", "m^2") are no number at all.

Commas and points. "1,200", "1.234.567", "1 200", "1'200" and "12,34,567" (India) are groups; "1.200" is 1.2, as in
English. A decimal comma counts where it can be nothing else: "1.200,50", "1 200,5", "12,50 €". "1,20" can be two
numbers, and "12.500 €" two amounts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from distill_dagster.tasks.number_context import is_name, is_part, scale, sign_of

DIGIT = re.compile("[0-9]")
CURRENCY = "$€£¥₹₽₩"
RUN = r"[0-9]+(?:[.,:'’][0-9]+)*"
SPACED = r"[0-9]{1,3}(?:\x20[0-9]{3})+(?![0-9])(?:[.,][0-9]+)?"
NUMBER = re.compile(
    rf"(?P<outer>[-+](?=[0-9.{CURRENCY}]))?(?P<money>[{CURRENCY}]\s?)?(?P<inner>-(?=[0-9.]))?"
    r"(?:(?P<whole>[0-9]+)\s+(?=[0-9]+\s?/\s?[0-9]))?"
    rf"(?P<top>(?<![0-9]\x20){SPACED}|{RUN}|(?<![0-9A-Za-z.])\.[0-9]+)(?:[eE](?P<e>[-+]?[0-9]+)(?![0-9A-Za-z]))?"
    r"(?:\s*[*×xX]\s*10\^(?P<ten>[-+]?[0-9]+))?(?P<power>\^[-+]?[0-9]+)?(?P<bottom>(?:\s?/\s?-?[0-9]+(?![0-9.,]*[0-9]))*)"
)
GROUPS = re.compile(
    r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?"
    r"|[0-9]{1,3}(?: [0-9]{3})+(?:\.[0-9]+)?"
    r"|[0-9]{1,3}(?:['’][0-9]{3})+(?:\.[0-9]+)?"
)
POINTS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}|[0-9]{1,3}(?:[. ][0-9]{3})+,[0-9]+")  # a comma, if any, is decimal
PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}")
THOUSANDS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
COMMA_BEFORE = re.compile(r"(?:€|\bEUR|R\$|\bRp\.?|\bIDR|₺|₫|₽|\bkr\.?|zł|\bPLN)\s?-?$")
COMMA_AFTER = re.compile(r"\s?(?:€|(?:EUR|[Ee]uros?|PLN|kr|TL|VND|IDR|reais|Ft)\b|zł|₺|₫|₽|руб)")
MILLIONS = re.compile(r"[kKmMbB]\b")  # "£18m" is hardly metres
GROSS = re.compile(r"\s?gross\b", re.IGNORECASE)  # of money: before taxes, and not twelve dozen
LONGEST = 60  # characters; a longer run of digits is noise and takes quadratic time to convert
LARGEST_POWER = 99


@dataclass(frozen=True, slots=True)
class Found:
    """A number in the plain text: its value, None if it only looks like one, and its place."""

    value: Fraction | None
    start: int
    end: int


def found_in(plain: str) -> Iterator[Found]:
    """The numbers in a text of `plain_math`, in order."""
    return filter(None, (_judged(match, plain) for match in NUMBER.finditer(plain)))


def last_in(plain: str) -> Found | None:
    """The last number in a text of `plain_math`, with its place in its line."""
    for line in filter(DIGIT.search, reversed(plain.splitlines())):
        matches = list(NUMBER.finditer(line))
        if found := next(filter(None, (_judged(match, line) for match in reversed(matches))), None):
            return found
    return None


def _judged(match: re.Match[str], plain: str) -> Found | None:
    """The number at a match; None where the digits belong to a name or a unit."""
    if is_name(plain, match.start("top") if match["money"] and not match["outer"] else match.start()):
        return None
    factor, added, end = scale(plain, match.end())
    if match["money"] and GROSS.match(plain, match.end()):
        factor = Fraction(1)
    value = None if is_part(plain, match.start(), end) else _value(match, plain)
    if value is None or factor is None or (match["money"] and MILLIONS.match(plain, end)):
        return Found(None, match.start(), end)
    sign = -1 if match["outer"] == "-" or match["inner"] else sign_of(plain, match.start())
    return Found(sign * (value * factor + added), match.start(), end)


def _value(match: re.Match[str], plain: str) -> Fraction | None:
    """The value without its sign, or None where the match only looks like a number."""
    if len(match[0]) > LONGEST:
        return None
    top = _decimal(match["top"], _has_comma_money(match, plain))
    power = _power(match)
    if top is None or power is None:
        return None
    value = top * power
    if match["bottom"]:
        value = _divided(value, match)
    return value


def _divided(value: Fraction, match: re.Match[str]) -> Fraction | None:
    """The fraction, with its whole part; a mixed number has a proper fraction ("4 10/3" is none)."""
    divisors = match["bottom"].replace(" ", "")[1:].split("/")
    if len(divisors) > 1 or int(divisors[0]) == 0:
        return None
    value /= int(divisors[0])
    if not match["whole"]:
        return value
    return int(match["whole"]) + value if 0 < value < 1 else None


def _decimal(digits: str, has_comma: bool) -> Fraction | None:
    if has_comma and THOUSANDS.fullmatch(digits):  # "12.500 €" is 12,500 on the continent, and 12.5 in Ireland
        return None
    if PLAIN.fullmatch(digits):
        return Fraction(digits)
    if GROUPS.fullmatch(digits):
        return Fraction(re.sub(r"[,'’ ]", "", digits))
    if POINTS.fullmatch(digits) or (has_comma and DECIMAL_COMMA.fullmatch(digits)):
        return Fraction(re.sub(r"[. ]", "", digits).replace(",", "."))
    return None


def _has_comma_money(match: re.Match[str], plain: str) -> bool:
    """Whether the number is money of a currency whose users write a comma before the decimals."""
    before, after = plain[max(0, match.start("top") - 8) : match.start("top")], plain[match.end() : match.end() + 8]
    return bool(COMMA_BEFORE.search(before) or COMMA_AFTER.match(after))


def _power(match: re.Match[str]) -> Fraction | None:
    """The power of ten by which the number is written; None for another power, such as 2^3."""
    if match["power"]:
        if match["top"] != "10" or match["e"] or match["ten"]:
            return None
        exponent = int(match["power"][1:]) - 1  # 10^3 is 10 times 10^2
    else:
        exponent = int(match["e"] or match["ten"] or 0)
    return Fraction(10) ** exponent if abs(exponent) <= LARGEST_POWER else None


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
