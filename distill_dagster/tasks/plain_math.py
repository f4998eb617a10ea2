"""Mathematics as plain text: the LaTeX and the Unicode in and around numbers, written as on a typewriter.

    "\\\\frac{3}{4}"  "\\\\frac34"        3/4          "2½"  "2 ½"              2 1/2
    "1{,}200"  "1\\\\,200"             1,200  1 200  "−3"  "１８"             -3  18
    "1.5 \\\\times 10^{3}"  "10³"      1.5 × 10^3    "18\\\\text{ m}^2"  "m²"   18 m^2
    "\\\\$5"  "40\\\\%"  "90^\\\\circ"     $5  40%  90°

What has no plain form keeps its command (`\\\\foo`), so that a number beside it is seen to be a part of something.
"""

import re
import unicodedata

from distill_dagster.tasks.folding import visible

ARGUMENT = r"(?:\{\s*([-+]?[0-9.,]+)\s*\}|([0-9]))"
FRACTION = re.compile(rf"(?:([0-9])[ \t]*)?\\[dtc]?frac\s*{ARGUMENT}\s*{ARGUMENT}")
TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|operatorname|mbox|hbox|mathsf)\s*\{([^{}]*)\}")
BEHIND_WORDS = re.compile(r"[\w\\$€£¥.({+-]")
COMMANDS = {
    "times": " × ",
    "cdot": " × ",
    "div": " ÷ ",
    "pm": "±",
    "mp": "±",
    "sqrt": "√",
    "pi": "π",
    "circ": "°",
    "degree": "°",
    "infty": "∞",
    "le": "≤",
    "leq": "≤",
    "ge": "≥",
    "geq": "≥",
    "ne": "≠",
    "neq": "≠",
    "approx": "≈",
    "euro": "€",
    "pounds": "£",
    "left": "",
    "right": "",
    "displaystyle": "",
    "quad": " ",
    "qquad": " ",
    "dollar": "$",
    "percent": "%",
}
LATEX = re.compile(r"[\\{<~^]")
COMMAND = re.compile(rf"\\({'|'.join(sorted(COMMANDS, key=len, reverse=True))})(?![a-zA-Z])")
SPACES = (("{,}", ","), ("\\!", ""), ("\\,", " "), ("\\;", " "), ("\\:", " "), ("\\ ", " "), ("~", " "))
SIGNS = (("\\$", "$"), ("\\%", "%"), ("\\(", " "), ("\\)", " "), ("\\[", " "), ("\\]", " "), ("\\&", "&"))
RAISED, LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉"
POWER = re.compile(f"([⁻⁺]?[{RAISED}]+)")
INDEX = re.compile(f"([{LOWERED}]+)")
VULGAR = re.compile(r"([0-9])?\s?([¼½¾⅐-⅞↉])")
FLAT = str.maketrans({**{raised: str(i) for i, raised in enumerate(RAISED)}, "⁻": "-", "⁺": ""})
GROUPED = re.compile(r"\^\s*\{\s*([-+]?[0-9]+|°)\s*\}")
ANNOTATION = re.compile(r"<<[^<>]*>>|</?[a-zA-Z][^<>]*>")  # GSM8K's calculator, and HTML tags
DASHES = str.maketrans(dict.fromkeys("−‐‑‒–﹣", "-") | {"٫": ".", "٬": ",", "⁄": "/", "∕": "/", "⋅": "×", "·": "×"})


def plain_math(text: str) -> str:
    """`text` with numbers, fractions, powers, units and signs in ASCII; it never joins two numbers."""
    if not text.isascii():
        text = _plain_unicode(visible(text))
    if not LATEX.search(text):
        return text
    for latex, plain in (*SPACES, *SIGNS):
        text = text.replace(latex, plain)
    text = TEXT.sub(_words, text)
    text = COMMAND.sub(lambda found: COMMANDS[found[1]], text)
    text = FRACTION.sub(_fraction, text)
    text = GROUPED.sub(r"^\1", text).replace("^°", "°").replace("^ °", "°")
    return ANNOTATION.sub("", text)


def _plain_unicode(text: str) -> str:
    text = VULGAR.sub(_vulgar, text)
    text = POWER.sub(lambda found: "^" + found[1].translate(FLAT), text)
    text = INDEX.sub(lambda found: "_" + "".join(str(LOWERED.index(char)) for char in found[1]), text)
    text = unicodedata.normalize("NFKC", text).translate(DASHES)
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def _vulgar(found: re.Match[str]) -> str:
    form = unicodedata.normalize("NFKC", found[2]).replace("⁄", "/")
    return f"{found[1]} {form}" if found[1] else form


def _words(found: re.Match[str]) -> str:
    """The words of \\text{…}, apart from a number before them, and from one behind them."""
    words = found[1].strip()
    is_apart = words[-1:].isalpha() and BEHIND_WORDS.match(found.string, found.end())
    return f" {words} " if is_apart else f" {words}"


def _fraction(found: re.Match[str]) -> str:
    """a/b, and a mixed number where a digit precedes it; a form that is no fraction of two numbers stays a command."""
    whole, top, bottom = found[1], found[2] or found[3], found[4] or found[5]
    return f"{whole} {top}/{bottom}" if whole else f"{top}/{bottom}"
