"""JSON objects in a model's text, as models write them: tolerant of their slips, and never of a missing end.

    'Sure!\\n```json\\n{"reason": "so", "answer": "A",}\\n```'      [{"reason": "so", "answer": "A"}]
    "{'reason': 'it's so', 'answer': None}"                      [{"reason": "it's so", "answer": None}]
    '{"answer": 0.10}'                                           [{"answer": "0.10"}]    numbers as they were written
    '{"reason": "\\\\frac{1}{2}", "answer": "A"}'                  the LaTeX stays: \\f is no form feed here
    '{"answer": "A", "reason": "becau'                           None: cut off

What closes an object is found here and not by the library that mends it (json_repair): that one closes whatever is
open at the end of the text, and would so make an answer out of half of one.
"""

import json
import re
from typing import Any

import json_repair

START = re.compile(r"""\{\s*["'“]|\[\s*\{\s*["'“]""")  # braces of sets and of LaTeX open no object
LATEX = (  # commands that begin like one of JSON's escapes; no text has a form feed or a backspace before a letter
    "[bf][a-z]|(?:times|theta|text(?:bf|it|rm)?|tfrac|tan|tau|to|triangle|not|notin|nabla|neg|neq|right|rightarrow|rho"
    "|rangle|rfloor|rceil)(?![a-z])"
)
ESCAPE = re.compile(rf"""\\(?:(?P<latex>{LATEX})|(?P<valid>["\\/bfnrt]|u[0-9a-fA-F]{{4}})|(?P<quote>')|)""")
QUOTES = {'"': '"', "'": "'"}
DECODER = json.JSONDecoder(strict=False, parse_float=str, parse_int=str, parse_constant=lambda _: None)


def objects_in(text: str) -> list[Any] | None:
    """The objects and lists of objects of `text`, in order; None where the last of them does not end."""
    text, found, at = ESCAPE.sub(_escape, text), [], 0
    while start := START.search(text, at):
        try:
            value, at = DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            end = _end(text, start.start())
            if end is None:
                return None
            value, at = _mended(text[start.start() : end]), end
        found.append(value)
    return found


def _escape(found: re.Match[str]) -> str:
    """A backslash that JSON knows stays; any other is the text's own, and is doubled."""
    if found["quote"]:
        return "'"
    return found[0] if found["valid"] else "\\" + found[0]


def _end(text: str, start: int) -> int | None:
    """The position behind the brace or bracket that closes the one at `start`.

    A quote opens a string only behind `{ [ , :` and closes it only before `} ] , :`, so that `"said "no" to"` and
    `'it's'` are strings.
    """
    depth, quote, before, at = 0, None, "", start
    while at < len(text):
        char = text[at]
        if quote and char == "\\":
            at += 1
        elif quote:
            quote = None if char == quote and _followed_by(text, at + 1, "}],:") else quote
        elif char in QUOTES and before in "{[,:":
            quote = char
        else:
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(char, 0)
            if depth == 0:
                return at + 1
        before = before if char.isspace() else char
        at += 1
    return None


def _followed_by(text: str, at: int, marks: str) -> bool:
    """Whether the next character that is no blank is one of `marks`."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at < len(text) and text[at] in marks


def _mended(span: str) -> Any:
    """The value of a closed object that is not JSON; None where nothing can be made of it.

    The library guesses at any text, and a text on which its guessing breaks is one row's fault.
    """
    try:
        return json_repair.loads(span)
    except (ValueError, RecursionError, IndexError, KeyError, TypeError):
        return None
