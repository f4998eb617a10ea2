"""Thoughts that only the opening of a text shows to be thoughts: elsewhere these forms are the answer's own.

    <plan>Multiply.</plan>\\n391                          thoughts "Multiply."     answer "391"
    <my_reasoning>17 * 23</my_reasoning><answer>391</answer>
    **Thinking:** 17 * 23\\n\\n**Answer:** 391
    ### Thinking\\n17 * 23\\n\\n### Response\\n391
    <plan>Buy milk.</plan>                               an answer: nothing follows
    <plan>Buy milk.</plan><cost>3</cost>                 an answer: a document of elements

An element counts if its name speaks of thinking, and if the answer follows it, plain or in an element for answers. So
an element that no list knows is parted too.
"""

import re

STEM = (  # a name consists of one of these, and of other words joined by "_" or "-"
    r"think(?:ing)?|thoughts?|reason(?:s|ing)?|rationales?|reflect(?:ions?|ing)?|ponder(?:ing)?|monolog(?:ue)?|musings?"
    r"|deliberat(?:e|ions?)|brainstorm(?:ing)?|scratch_?(?:pad)?|ruminat(?:e|ions?)|chain[_-]?of[_-]?thoughts?"
)
WHOLE = (
    r"cot|plan|planning|analysis|cot_\w{1,30}|(?:inner|internal|hidden|my)-?(?:thoughts?|thinking|reasoning|monologue)"
)
ANSWERS = r"final[_-]answer|final|answer|response|output|solution|result|reply"
NAME = rf"(?:\w{{1,12}}:)?(?:(?:[\w-]{{1,30}}[_-])?(?:{STEM})(?:[_-](?!tank|bubble)[\w-]{{1,80}})?|{WHOLE})(?=[\s>])"
ELEMENT = re.compile(
    rf"\s*<(?P<name>{NAME})(?:\s[^<>]{{0,80}})?>(?P<thoughts>.*?)</(?P=name)\s*>"
    rf"(?=\s*(?:[^\s<]|<(?:(?:{ANSWERS})\b|{NAME}|[^a-zA-Z/!?])))",
    re.DOTALL | re.IGNORECASE,
)
ELEMENTS_GO_ON = re.compile(rf"\s*<{NAME}", re.IGNORECASE)
THINKING = (
    r"(?:(?:my|the)\s+)?(?:(?:inner|internal)\s+)?(?:thinking(?:\s+process)?|thoughts?(?:\s+process)?|monologue"
    r"|chain[\s-]of[\s-]thought|scratchpad)|思考(?:过程|過程|プロセス)?|思维过程"
)
ANSWER = r"(?:(?:my|the)\s+)?(?:final\s+)?(?:answer|response|reply|output)|(?:最终)?(?:回答|答案|回复)|最終回答"
HASHES, LINE_END = r"[ \t]*#{1,6}[ \t]*\**", r"\**[ \t]*[:：]?\**[ \t]*\n"
HEADED = [
    re.compile(form, re.DOTALL | re.IGNORECASE)
    for form in (
        rf"\s*\*\*(?:{THINKING})\s*(?:[:：]\s*\*\*|\*\*\s*[:：]?)(.*?)\*\*(?:{ANSWER})\s*(?:[:：]\s*\*\*|\*\*\s*[:：]?)(.*)$",
        rf"\s*{HASHES}(?:{THINKING}){LINE_END}(.*?)\n{HASHES}(?:{ANSWER}){LINE_END}(.*)$",
        rf"\s*(?:{THINKING})[ \t]*[:：](.*?)\n[ \t]*(?:{ANSWER})[ \t]*[:：](.*)$",
    )
]


def part_opening(text: str, known: re.Pattern[str]) -> tuple[list[str], str]:
    """The thoughts that open a text, block by block, and what follows them; no thoughts if it does not open so.

    `known` matches where a block begins that may stand anywhere in a text; it is left to thoughts.py.
    """
    thoughts, at = list[str](), 0
    while not known.match(text, at) and (found := ELEMENT.match(text, at)):
        thoughts.append(found["thoughts"])
        at = found.end()
    if thoughts:
        are_a_document = ELEMENTS_GO_ON.match(text, at) and not known.match(text, at)
        return ([], text) if are_a_document else (thoughts, text[at:])
    headed = next((match for form in HEADED if (match := form.match(text))), None)
    return ([headed[1]], headed[2]) if headed and headed[2].strip() else ([], text)
