"""Finds secrets and personal data in a text by their shape.

    find("ask ana@example.org, key AKIAIOSFODNN7EXAMPLE")
        [("email", 4, 19), ("api_key", 25, 45)]
    redact("ask ana@example.org, key AKIAIOSFODNN7EXAMPLE")
        "ask [email], key [api_key]"

A shape proves nothing: names, addresses and passwords in plain prose go unseen, and a made-up number can look real.
The kinds, and the source of each shape:

email        local part and labels as in the WHATWG HTML standard's "valid e-mail address", with a top-level domain
phone        ITU-T E.164 (`+`, 8 to 15 digits, separators between them) and the North American form 555-123-4567,
             with an area code and an exchange that start with 2 to 9 (NANPA)
card         ISO/IEC 7812-1: 13 to 19 digits in one piece or in groups, first digit 2 to 6 (the payment networks'),
             with a correct Luhn digit, which one in ten random numbers has by chance
iban         ISO 13616: country, two check digits, 11 to 30 characters, remainder 1 modulo 97
private_key  the PEM armour of RFC 7468, up to its end or the end of the text
token        `Bearer …` and `Basic …` of RFC 6750 and 7617, JSON web tokens (RFC 7519: base64url of `{"` is `eyJ`)
api_key      the prefixes that providers document so that scanners find leaked keys: AWS, GitHub, GitLab, Slack, Google,
             Stripe, OpenAI, Anthropic, Hugging Face, SendGrid, npm
password     the user part of a URL (RFC 3986, 3.2.1), and `password=…`, `api_key: …`, `secret=…` and the like
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

Found = tuple[str, int, int]  # kind, start, end


class Shape(NamedTuple):
    """What one kind looks like. If the pattern has named groups, only the group that matched counts as the find."""

    kind: str
    hints: tuple[str, ...]  # in lower case; a text without any of them is not searched; (): see _DIGITS
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = lambda _: True  # the check digits


def luhn(text: str) -> bool:
    """Whether the digits of `text` end in their Luhn check digit (ISO/IEC 7812-1, annex B)."""
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_card(text: str) -> bool:
    digits = [character for character in text if character.isdigit()]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(text)


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "").upper()
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _is_phone(text: str) -> bool:
    return 8 <= sum(character.isdigit() for character in text) <= 15


_API_KEYS = "|".join(
    (
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",  # AWS access key id
        r"gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{22,255}",
        r"glpat-[A-Za-z0-9_-]{20,}",
        r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}",
        r"AIza[A-Za-z0-9_-]{35}",
        r"[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}",
        r"sk-(?:ant-|proj-|svcacct-|or-v1-)?[A-Za-z0-9_-]{20,}",
        r"hf_[A-Za-z0-9]{30,}",
        r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        r"npm_[A-Za-z0-9]{30,}",
    )
)
_KEY_HINTS = (
    *("akia", "asia", "abia", "acca", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "xapp-"),
    *("aiza", "k_live_", "k_test_", "sk-", "hf_", "sg.", "npm_"),
)
_DIGITS = re.compile(
    r"\d(?:\D{0,3}\d){6}"
)  # seven digits close together, the fewest that a phone number, card or IBAN has
_SHAPES = (
    Shape(
        "private_key",
        ("-----begin",),
        re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)", re.S),
    ),
    Shape(
        "token",
        ("bearer", "basic", "eyj"),
        re.compile(
            r"\b(?i:bearer|basic)\s+(?P<it>(?=[A-Za-z._~+/-]*[0-9=])[A-Za-z0-9._~+/-]{16,}=*)"
            r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"
        ),
    ),
    Shape("api_key", _KEY_HINTS, re.compile(rf"(?<![A-Za-z0-9])(?:{_API_KEYS})")),
    Shape(
        "password",
        ("://", "passw", "pwd", "secret", "api", "token"),
        re.compile(
            r"[a-z][a-z0-9+.-]{0,20}://(?P<it>[^\s/@:]{1,128}:[^\s/@]{1,256})(?=@)"
            r"|\b(?i:password|passwd|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token|client[_-]?secret)"
            r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?P<value>[^\s\"',;<>\[\]]{6,})"
        ),
    ),
    Shape(
        "email",
        ("@",),
        re.compile(
            r"(?<![\w.+-])[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
            r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}\b"
        ),
    ),
    Shape(
        "iban",
        (),
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"),
        _is_iban,
    ),
    Shape("card", (), re.compile(r"(?<![\w.,+-])[2-6](?:[ -]?\d){12,18}(?![\d]|[.,]\d)"), _is_card),
    Shape(
        "phone",
        (),
        re.compile(
            r"(?<![\w+])\+[1-9](?:[ ./()-]{0,2}\d){7,14}(?!\d)"
            r"|(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w-]|\.\d)"
        ),
        _is_phone,
    ),
)


def find(text: str) -> list[Found]:
    """Every secret and every piece of personal data, as (kind, start, end), in order and without overlap.

    Of two that overlap, the one that starts first counts; of two with the same start, the longer one.
    """
    lower, digits = text.lower(), _DIGITS.search(text) is not None
    shapes = (s for s in _SHAPES if (any(hint in lower for hint in s.hints) if s.hints else digits))
    found = sorted((hit for shape in shapes for hit in _matches(shape, text)), key=lambda hit: (hit[1], -hit[2]))
    kept: list[Found] = []
    for hit in found:
        if not kept or hit[1] >= kept[-1][2]:
            kept.append(hit)
    return kept


def redact(text: str) -> str:
    """`text` with each secret or piece of personal data replaced by its kind in brackets."""
    pieces, end = [], 0
    for kind, start, stop in find(text):
        pieces += [text[end:start], f"[{kind}]"]
        end = stop
    return "".join([*pieces, text[end:]])


def _matches(shape: Shape, text: str) -> Iterator[Found]:
    for match in shape.pattern.finditer(text):
        group = next((name for name, value in match.groupdict().items() if value is not None), 0)
        start, end = match.span(group)
        if shape.holds(text[start:end]):
            yield shape.kind, start, end
