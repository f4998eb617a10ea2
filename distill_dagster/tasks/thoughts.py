"""Parts a model's text into its thoughts and its answer, by the forms here, in channels.py and opening_thoughts.py.

    <think>It sleeps.</think>Answer: neutral          thoughts "It sleeps."     answer "Answer: neutral"
    It sleeps.</think>neutral                         the chat template, or the server, took the opening mark away
    Sure. <think>a</think>Yes. <think>b</think>No.    thoughts "Sure.", "a", "b"    answer "Yes. No."
    <|channel|>analysis<|message|>a<|end|>…final<|message|>b        gpt-oss; "analysisa…assistantfinalb" without marks
    Here is my thought process: a Here is my response: b            Granite; sentences instead of marks

What precedes the first block opens the thoughts, unless no text follows them. Thoughts that do not end leave no answer.
A text that only speaks of these marks is an answer: `Close it with </think>, then go on`.
"""

import re
from typing import NamedTuple

from distill_dagster.tasks.channels import is_channel_mark, part_channels
from distill_dagster.tasks.opening_thoughts import ANSWERS, part_opening

NAMES = (
    r"(?:\w{1,12}[:_])?(?:think(?:_never_used_\w{1,80})?|thinking|thoughts?|(?:thought|thinking)[_-]process|antthinking"
    r"|reasoning|reflection|scratchpad|(?:inner|internal)[_-]monologue|chain[_-]of[_-]thoughts?)"
)  # with a vendor's prefix: seed:think, longcat_think
LEFT, RIGHT = r"(?:<\|?|&lt;|◁)\s*", r"\s*(?:\|?>|&gt;|▷)"
BRACKETED = r"(?:THINK|THINKING|THOUGHTS?|REASONING)\]"  # without an end only in capitals: prose has [thinking] too
MARK = re.compile(
    rf"(?P<empty>{LEFT}{NAMES}\s*/{RIGHT})"
    rf"|(?P<closing>{LEFT}(?:(?:/\s*|end_of_|end_){NAMES}|{NAMES}_end){RIGHT}|\[/{BRACKETED}|<channel\|>|<unused95>)"
    rf"|(?P<opening>{LEFT}(?:begin_of_|start_)?{NAMES}(?:_start|_begin)?(?:\s[^<>/]{{0,80}})?{RIGHT}"
    rf"|(?-i:\[{BRACKETED})|\[{BRACKETED}(?=[^\[]*\[/{BRACKETED})|<\|channel>(?:thought|analysis)?"
    r"|<unused94>(?:thought)?)",
    re.IGNORECASE,
)
KNOWN = re.compile(rf"\s*{LEFT}{NAMES}\b", re.IGNORECASE)  # such a block may also lack its end
QUOTED_BEFORE = re.compile(r"[`'\"(“]\s?$")
PROSE_AFTER = re.compile(
    r"[`'\"”),;:?!]|\.(?!\S)|\s+(?:tags?|tokens?|marks?|markers?|elements?|delimiters?)\b", re.IGNORECASE
)
VERB_AFTER = re.compile(
    r"[ \t]+(?:is|are|was|were|means|marks|ends|closes|and|or|has|should|must|can|may|will|would|appears|comes|isn't)\b"
)
NOUN_BEFORE = re.compile(r"\b(?:the|a|an|this|that|each|every|closing|called|named)[ \t]+$", re.IGNORECASE)
LOWER_AFTER = re.compile(r"[ \t]+[a-z]")
MID_SENTENCE = re.compile(r"[\w,][ \t]+$")
LOOK_BACK = 20  # characters before a mark
VERBATIM = ("{", "[{", "```")  # JSON or code may hold marks as text

SUMMARY = (
    r"thought for|thoughts?|thinking|thought process|reasoning|chain of thought|思考|思维|推理|réflexion|razonamiento"
)
SPOKEN = [  # thoughts, then the answer: sentences of models, and what tools make of thoughts
    re.compile(form, re.DOTALL | re.IGNORECASE)
    for form in (
        r"\s*Here(?:'s| is) my thought process:(.*?)(?:Here(?:'s| is) my response:(.*))?$",  # Granite 3.2
        r"\s*Here are my reasoning steps:(.*?)(?:\[BEGIN FINAL RESPONSE\](.*))?$",  # Apriel
        r"\s*Thinking\.\.\.\n(.*?)(?:\n\.\.\.done thinking\.(.*))?$",  # Ollama's command line
        r"\s*<details[^>]*\breasoning\b[^>]*>(.*?)</details>(.*)$",  # Open WebUI
        rf"\s*<details[^>]*>\s*<summary>(?:<\w+>|[^<\w])*(?:{SUMMARY})(?![a-z])[^<]{{0,60}}(?:</\w+>)?\s*</summary>(.*?)</details>(?=\s*\S)(.*)$",
        r"\s*(?P<fence>`{3,}|~{3,})[ \t]*(?:thinking|think|thoughts?|reasoning|scratchpad)[ \t]*\n"
        r"(?P<thoughts>.*?)\n[ \t]*(?P=fence)[ \t]*(?=\s*\S)(?P<rest>\n.*)$",
        r"\s*<\|im_start\|>think\b\s*(.*?)(?:\s*<\|im_start\|>answer\b(.*?)(?:<\|im_end\|>\s*)?)?$",  # s1
        r"\s*(?-i:think)\n(.*?)\n\s*(?-i:answer)\n(.*)$",  # s1, special tokens lost
        r"\s*\*Thinking\.\.\.\*\s*\n((?:[ \t]*>[^\n]*\n?)+)(.*)$",  # Poe
    )
]
WRAPPED = re.compile(  # the answer of a text with thoughts, in marks of its own; the closing one may be the stop string
    rf"(?:<({ANSWERS})>|<\|begin_of_(solution|box)\|>|<\|START_(RESPONSE)\|>)"
    r"(?P<answer>.*?)(?:</(?:\1)>|<\|end_of_(?:\2)\|>|<\|END_(?:\3)\|>)?\s*$"
    r"|(?P<final>.*?)\[END FINAL RESPONSE\].*$",
    re.DOTALL | re.IGNORECASE,
)
HINT = re.compile(
    r"think|thought|reason|reflection|scratchpad|monologue|channel|\|message\||analysis|unused9|assistantfinal|<details",
    re.IGNORECASE,
)


class Block(NamedTuple):
    """A part of a text between two marks."""

    text: str
    is_thought: bool


def part_thoughts(text: str) -> tuple[str | None, str]:
    """The thoughts in `text` and the text after them, which is empty where the thoughts do not end."""
    opening, text = part_opening(text, KNOWN)
    found = HINT.search(text) and (part_channels(text) or _spoken(text) or _marked(text))
    if not found and not opening:
        return None, text.strip()
    thoughts, answer = found or ([], text)
    more, answer = part_opening(answer, KNOWN) if found else ([], answer)
    thoughts = [*opening, *thoughts, *more]
    if wrapped := WRAPPED.match(answer.strip()):
        answer = wrapped["answer"] or wrapped["final"] or ""
    return "\n\n".join(filter(None, (thought.strip() for thought in thoughts))) or None, answer.strip()


def is_mark(token: str) -> bool:
    """Whether a tokenizer's special token is a mark of thoughts, without which their end cannot be found."""
    return bool(MARK.fullmatch(token.strip()) or is_channel_mark(token))


def _spoken(text: str) -> tuple[list[str], str] | None:
    found = next((match for form in SPOKEN if (match := form.match(text))), None)
    if found is None:
        return None
    thoughts, answer = found.groups()[-2:]
    return [thoughts], answer or ""


def _marked(text: str) -> tuple[list[str], str] | None:
    """The thoughts and the answer of a text with marks; None if it has none, or only speaks of them."""
    blocks = _blocks(text)
    if len(blocks) == 1:
        return None
    first = next((i for i, block in enumerate(blocks) if block.is_thought), 0)
    opening, rest = [block.text for block in blocks[:first]], blocks[first:]
    thoughts = [block.text for block in rest if block.is_thought]
    answer = "".join(block.text for block in rest if not block.is_thought)
    if answer.strip() or rest[-1].is_thought:
        return [*opening, *thoughts], answer
    return thoughts, "".join(opening)


def _blocks(text: str) -> list[Block]:
    """The parts of a text between its marks. A closing mark without an opening one makes thoughts of all before it."""
    marks = [] if text.lstrip().startswith(VERBATIM) else list(MARK.finditer(text))
    closings = [mark.start() for mark in marks if mark.lastgroup == "closing" and not _is_in_prose(text, mark)]
    mentioned = _mentioned(text, marks, closings[-1] if closings else 0)
    blocks, at, is_thought, is_mentioned = list[Block](), 0, False, False
    for mark in marks:
        kind = mark.lastgroup
        if kind == "opening" and not is_thought and mark.start() in mentioned:
            is_mentioned = True  # and so is the mark that closes it
        elif kind == "closing" and not is_thought and (is_mentioned or _is_in_prose(text, mark)):
            is_mentioned = False
        elif kind == "closing" and not is_thought:
            blocks, at = [Block(text[: mark.start()], True)], mark.end()
        elif kind == "closing" or not is_thought:  # a mark within thoughts may be a thought about marks
            blocks.append(Block(text[at : mark.start()], is_thought))
            at, is_thought = mark.end(), kind == "opening"
    return [*blocks, Block(text[at:], is_thought)]


def _mentioned(text: str, marks: list[re.Match[str]], last_closing: int) -> set[int]:
    """Where the text only speaks of an opening mark: in a code fence, in quotes, or in a sentence that goes on."""
    mentioned, at, fences, begins = set[int](), 0, 0, len(text) - len(text.lstrip())
    for mark in marks:
        fences, at = fences + text.count("```", at, mark.start()), mark.start()
        before = text[max(0, at - LOOK_BACK) : at]
        goes_on = at > last_closing and MID_SENTENCE.search(before)
        if at > begins and (fences % 2 or QUOTED_BEFORE.search(before) or goes_on):
            mentioned.add(at)
    return mentioned


def _is_in_prose(text: str, mark: re.Match[str]) -> bool:
    before = text[max(0, mark.start() - LOOK_BACK) : mark.start()]
    if MID_SENTENCE.search(before) and VERB_AFTER.match(text, mark.end()):
        return True
    if NOUN_BEFORE.search(before) and LOWER_AFTER.match(text, mark.end()):
        return True
    return bool(PROSE_AFTER.match(text, mark.end()) or QUOTED_BEFORE.search(before))
