"""Secrets and personal data in a text: where they stand, and the text without them.

    "Mail ana@example.org or call +49 30 1234567"     "Mail [email] or call [phone]"

Only forms that hardly anything else has: a name or an address in words is not found.
"""

import re

PATTERNS = {
    "private_key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----)?", re.DOTALL),
    "secret": re.compile(
        r"\b(?:sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|AKIA[0-9A-Z]{16}|xox[abprs]-[A-Za-z0-9-]{10,}"
        r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})"
    ),
    "email": re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})*\.[A-Za-z]{2,24}\b"),
    "card": re.compile(r"(?<![\d.,])\d(?:[ -]?\d){12,18}(?![\d.,]*\d)"),
    "phone": re.compile(r"(?<![\w.,+])\+\d{1,3}(?:[ ./()-]{0,2}\d){7,13}(?!\d)"),
}

POSSIBLE = re.compile(r"[@\d]|PRIVATE KEY|sk-|xox|eyJ")  # what hardly any short text has; the rest is looked for then

Found = tuple[str, int, int]  # kind, start, end


def find(text: str) -> list[Found]:
    """Every secret or personal datum in the order of its place; where two overlap, the first of `PATTERNS` counts."""
    if not POSSIBLE.search(text):
        return []
    found: list[Found] = []
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            start, end = match.span()
            if (kind != "card" or _luhn(match[0])) and all(end <= s or e <= start for _, s, e in found):
                found.append((kind, start, end))
    return sorted(found, key=lambda f: f[1])


def redact(text: str) -> str:
    """`text` with each finding replaced by its kind in brackets."""
    for kind, start, end in reversed(find(text)):
        text = f"{text[:start]}[{kind}]{text[end:]}"
    return text


def _luhn(number: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    digits = [int(char) for char in reversed(number) if char.isdigit()]
    return sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10 == 0
