"""JSON objects in a model's text: common slips are mended, a missing end is not.

    'Sure!\\n```json\\n{"reason": "so", "answer": "A",}\\n```'      [{"reason": "so", "answer": "A"}]
    "{'reason': 'it's so', 'answer': None}"                      [{"reason": "it's so", "answer": None}]
    '{"answer": 0.10}'                                           [{"answer": "0.10"}]    numbers keep their digits
    '{"reason": "\\\\frac{1}{2}", "answer": "A"}'                  LaTeX is kept: \\f is no form feed here
    '{"answer": "A", "reason": "becau'                           None: cut off

This module finds where an object ends, and leaves only the mending to json_repair. That library closes everything that
is still open at the end of the text, so it would turn half an answer into a whole one.
"""

import json
import re
from typing import Any

import json_repair

START = re.compile(r"""\{\s*["'“]|\[\s*\{\s*["'“]""")  # a brace in a set or in LaTeX opens no object
LATEX = (  # commands that begin like an escape of JSON; no real text has a form feed or a backspace before a letter
    "[bf][a-z]|(?:times|theta|text(?:bf|it|rm)?|tfrac|tan|tau|to|triangle|not|notin|nabla|neg|neq|right|rightarrow|rho"
    "|rangle|rfloor|rceil)(?![a-z])"
)
ESCAPE = re.compile(rf"""\\(?:(?P<latex>{LATEX})|(?P<valid>["\\/bfnrt]|u[0-9a-fA-F]{{4}})|(?P<quote>')|)""")
QUOTES = {'"': '"', "'": "'"}
DECODER = json.JSONDecoder(strict=False, parse_float=str, parse_int=str, parse_constant=lambda _: None)


def objects_in(text: str) -> list[Any] | None:
    """The objects and lists of objects in `text`, in order; None where the last of them does not end."""
    found = _objects(ESCAPE.sub(_escape, text))
    return None if found is None else [value for value, _ in found]


def closing_object(text: str) -> Any:
    """The object or list of objects at the end of `text`, or before the end of its code fence; None without one."""
    text = ESCAPE.sub(_escape, text)
    found = _objects(text)
    if not found:
        return None
    value, end = found[-1]
    return None if text[end:].strip("`~ \t\r\n") else value


def _objects(text: str) -> list[tuple[Any, int]] | None:
    """Each object with the position of its end; None where the last of them does not end."""
    found, at = [], 0
    while start := START.search(text, at):
        try:
            value, at = DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            end = _end(text, start.start())
            if end is None:
                return None
            value, at = _mended(text[start.start() : end]), end
        found.append((value, at))
    return found


def _escape(found: re.Match[str]) -> str:
    """An escape that JSON knows stays; any other backslash belongs to the text and is doubled."""
    if found["quote"]:
        return "'"
    return found[0] if found["valid"] else "\\" + found[0]


def _end(text: str, start: int) -> int | None:
    """The position after the brace or bracket that closes the one at `start`; None where nothing closes it.

    A quote opens a string only after `{ [ , :` and closes it only before `} ] , :`, so that `"said "no" to"` and
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
    """Whether the next character other than a blank is one of `marks`."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at < len(text) and text[at] in marks


def _mended(span: str) -> Any:
    """The value of a closed object that is not valid JSON; None where the library cannot mend it.

    The library guesses, and some texts make it raise: that must fail one row, not the shard.
    """
    try:
        return json_repair.loads(span)
    except (ValueError, RecursionError, IndexError, KeyError, TypeError):
        return None
