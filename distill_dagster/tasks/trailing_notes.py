"""Notes in and behind an answer whose numbers are none of its own: citation marks, sources, a confidence.

    "She has 42 apples.[1]"                            "She has 42 apples."
    "42 apples【1†source】."                            "42 apples."
    "42 apples.\\n\\nSources:\\n1. example.com"           "42 apples."
    "42 apples.\\nConfidence: 95%"                      "42 apples."
    "The answer is [3]."  "the interval [1, 2]"        as they are: no mark of a citation

A mark in brackets is a citation where it touches a word or stands behind the end of a sentence. "42 apples [1]." may be
either, so its number is made unreadable: it counts as a number that is none.
"""

import re

NUMBERS = r"\^?[0-9]{1,3}(?:\s*[,;–-]\s*\^?[0-9]{1,3})*"
NAMED = r"(?:citation|cite|source|src|ref|reference|doc|document|passage|footnote|note|web|turn)s?[\s:_#]*[\w:.-]{0,20}"
MARK = (
    rf"(?:\[{{1,2}}(?:{NUMBERS}|{NAMED})\]{{1,2}}(?:\([^()\s]*\))?|【[^【】\n]{{1,40}}】"
    rf"|<sup>\s*\[{NUMBERS}\]\s*</sup>)"
)
CITED = re.compile(
    rf"(?:(?<=[^\W_][^\W_])|(?<=[0-9.!?…。)\"”’*%€£]))(?:{MARK})+"  # touches a word of two letters, a number or its end
    rf"|(?<=[.!?…。*)\"”])[ \t]+(?:{MARK}[ \t]*)+(?=[\s.]|$)"
    rf"|(?<=[0-9%])[ \t]+(?:{MARK}[ \t]*)+(?=[.]?\s*$)"
    r"|【[^【】\n]{1,40}】|\[\^[0-9]{1,3}\]|(?<=[.!?…。])\([0-9]{1,2}\)(?=\s|$)"
    r"|[ \t]{0,2}\[(?-i:[A-Z])[^\[\]0-9\n]{1,40}[ \t](?:19|20)[0-9]{2}[a-z]?\]"  # [Smith 2019]
    r"|[ \t]{0,2}\((?-i:[A-Z])[^()0-9\n]{1,40}(?:,|et al\.?)[ \t](?:19|20)[0-9]{2}[a-z]?\)",
    re.IGNORECASE | re.MULTILINE,
)
COMMAND = re.compile(r"\\[a-zA-Z]+$")  # \\sqrt[3]{8}, \\in[1,2]
UNCLEAR = re.compile(
    rf"(?<=[0-9])([^0-9\n]{{1,80}}(?<!\bis)(?<!\bare)(?<!\bwas)(?<![=:≈>])[ \t])\[{NUMBERS}\](?=\.?\s*$)",
    re.MULTILINE,
)
HEADS = (
    r"sources?|references?|citations?|footnotes?|bibliography|further reading|works cited|quellen?|fuentes?|"
    r"referencias?|fontes?|fonti|bronnen|références?|источники|来源|來源|参考资料|参考文献|參考資料|出典|参考|출처|स्रोत|المصادر"
)
ITEM = re.compile(r"[ \t]*(?:(?:[-*•]|\[?\^?[0-9]{1,3}[\]).:]|https?:|www\.)[^\n]*)?")  # of a list, or a blank line
HEAD = re.compile(rf"[#>*_ \t]{{0,12}}(?:{HEADS})[ \t]*(?:[:：][^\n]*|[*_]+[:：]?[ \t]*)?", re.IGNORECASE)
FOOTNOTE = re.compile(r"[ \t]*\[\^?[0-9]{1,3}\](?:[:：]|[ \t]+)[^\n]*")
SURE = (
    r"(?:my\s+|overall\s+)?(?:confidence|certainty)(?:\s+(?:level|score|rating))?|konfidenz|sicherheit|confianza|"
    r"confiance|уверенность|置信度|信心|確信度|확신도"
)
SURENESS = (
    rf"(?:{SURE})[*_]*\s?(?:[:：=]|\s?is\b|\s?of\b)[^\n]{{0,40}}"
    r"|(?:i\s+am\s+|i['’]m\s+|with\s+)?(?:about\s+|around\s+|~)?[0-9.]{1,6}\s?%\s?"
    r"(?:sure|confident|certain|confidence|certainty)\b[^\n]{0,20}"
)
SURE_LINE = re.compile(rf"[*_#>\s(\[-]{{0,12}}(?:{SURENESS})", re.IGNORECASE)
SURE_END = re.compile(rf"(?:\s?[(\[]|(?<=[.!?])\s)[*_]{{0,3}}(?:{SURENESS})\Z", re.IGNORECASE)
LAST = 160  # characters of the last line


def without_notes(text: str) -> str:
    """`text` without its notes; a text that consists of them stays as it is."""
    lines, size = text.rstrip().split("\n"), 0
    while len(lines) != size and len(lines) > 1:
        size = len(lines)
        _drop_last(lines)
    last = lines[-1].rstrip()
    if said := SURE_END.search(last, max(0, len(last) - LAST)):
        last = last[: said.start()]
    kept = "\n".join([*lines[:-1], last])
    bare = UNCLEAR.sub(r"\1[?_0]", CITED.sub(_cut, kept)) if any(mark in kept for mark in "[【(") else kept
    return bare if bare.strip() else text


def _drop_last(lines: list[str]) -> None:
    """Take away the last line if it is blank or a note, or a list of sources with its heading; never the first line."""
    is_footnote = FOOTNOTE.fullmatch(lines[-1]) and not FOOTNOTE.match(lines[0])
    if not lines[-1].strip() or SURE_LINE.fullmatch(lines[-1]) or is_footnote:
        lines.pop()
        return
    at = len(lines) - 1
    while at > 0 and ITEM.fullmatch(lines[at]) and not HEAD.fullmatch(lines[at]):
        at -= 1
    if at > 0 and HEAD.fullmatch(lines[at]):
        del lines[at:]


def _cut(mark: re.Match[str]) -> str:
    return mark[0] if COMMAND.search(mark.string, max(0, mark.start() - 20), mark.start()) else ""
