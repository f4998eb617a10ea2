"""The channels of gpt-oss ("harmony"): analysis and commentary are thoughts, final is the answer.

<|channel|>analysis<|message|>2 + 2<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>
analysis2 + 2assistantfinal4            the same, from a server or a decoder that drops special tokens
"""

import re

HEADER = re.compile(
    r"(?:<\|start\|>\s*assistant\b[^<]*)?(?:<\|channel\|>\s*)?(analysis|commentary|final)\b[^<\n]{0,80}"
    r"(?:<\|constrain\|>[^<]{0,40})?<\|message\|>"
)
END = re.compile(r"<\|(?:end|return|call|start)\|>")
BARE = re.compile(r"\s*(?:analysis(?P<thoughts>.*?))?assistantfinal(?P<answer>.*)$", re.DOTALL)
BARE_UNENDED = re.compile(r"analysis(?P<thoughts>[A-Z].*)$", re.DOTALL)


def is_channel_mark(token: str) -> bool:
    """Whether a tokenizer's special token is one of those that part channels."""
    return token in ("<|channel|>", "<|message|>")


def part_channels(text: str) -> tuple[list[str], str] | None:
    """The thoughts and the answer of a text with channels; None if it has none. No final channel, no answer."""
    headers = list(HEADER.finditer(text))
    if not headers:
        return _bare(text)
    thoughts, answers = [text[: headers[0].start()]], []
    for i, header in enumerate(headers):
        said = text[header.end() : headers[i + 1].start() if i + 1 < len(headers) else len(text)]
        (answers if header[1] == "final" else thoughts).append(END.split(said, maxsplit=1)[0])
    return thoughts, "".join(answers)


def _bare(text: str) -> tuple[list[str], str] | None:
    if found := BARE.match(text):
        return [found["thoughts"] or ""], found["answer"]
    if found := BARE_UNENDED.match(text):
        return [found["thoughts"]], ""
    return None
