"""Where a text states its answer: behind a mark, between tags, in a JSON object or a code fence.

    "The note is silent on it.\n\nAnswer: neutral"      "neutral"       the last mark at the start of a line counts
    "**Final answer:** neutral"                         "neutral"
    "### Answer\n\nneutral"                             "neutral"
    "<answer>neutral</answer>"                          "neutral"
    '```json\n{"answer": "neutral"}\n```'               "neutral"
    "**Paris**"                                         "Paris"         Markdown around the whole answer is not its part
    "Paris"                                             "Paris"         the whole text, since nothing marks a part of it
    "So it is\nAnswer:"                                 ""              the answer was cut off

All tasks but conversation find their answers here, whether the model gives its reasons first or not. A student that
learns reasoning and answer writes the first form. Reading a stated answer again changes nothing.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from distill_dagster.tasks.json_text import closing_object
from distill_dagster.tasks.reading import field_of, text_of

ANSWER = "Answer:"
NOUNS = (  # what a line calls the answer, in the languages that docs/quality.md lists
    "answers?",
    "answer[ _]choice",
    "Antwort",
    "respuesta",
    "réponse",
    "resposta",
    "risposta",
    "antwoord",
    "答案",
    "回答",
    "答え",
    "解答",
    "정답",
    "답변",
    "답",
    "उत्तर",
    "ответ",
    "الإجابة",
    "الجواب",
    "إجابة",
)
LABEL_NOUNS = (
    *NOUNS,
    *("label", "class", "classification", "category", "verdict", "prediction", "predicted[ _](?:label|class|category)"),
    *("Etikett", "Klasse", "Kategorie", "etiqueta", "étiquette", "etichetta", "rótulo", "clase", "classe", "categoría"),
    *("catégorie", "categoria", "метка", "класс"),
    *(
        "标签",
        "標籤",
        "类别",
        "類別",
        "分类",
        "分類",
        "ラベル",
        "カテゴリ",
        "라벨",
        "레이블",
        "분류",
        "लेबल",
        "श्रेणी",
        "التصنيف",
    ),
)
SUMMARY_NOUNS = ("summary", "tl;?dr")
ADJECTIVES = r"(?:(?:(?:the|my|your)[ ]+)?(?:final|correct|best|short|endgültige|最终|最終)[ ]*|my[ ]+|your[ ]+)*"
ANSWER_TAGS = ("final_answer", "final-answer", "answer")
FENCE = re.compile(r"(?P<fence>`{3,}|~{3,})[^\n`]*\n")
CODE = re.compile(r"`(?!`)(?P<inner>[^`\n]*[^`\s])`(?P<stop>[.!?。]?)")
UNDERLINED = re.compile(r"(?P<bold>_{1,3})(?![\s_])(?P<inner>[^_]*[^_\s])(?P=bold)(?P<stop>[.!?。]?)")
IDENTIFIER = re.compile(r"_+[a-z][a-z0-9_]*")  # __init__ is a name
CLOSING = re.compile(  # what models say behind an answer, and mean nothing by
    r"\s*(?:(?:I )?hope (?:this|that|it) helps|(?:please )?let me know (?:if|whether|should)|(?:please )?feel free to|"
    r"if you (?:have|need) (?:any|more|further|other)|is there anything else)\b[^\n{}]{0,120}",
    re.IGNORECASE,
)
BOLD = re.compile(r"(?P<bold>\*{1,3})(?![\s*])(?P<inner>[^*]*[^\s*])(?P=bold)(?P<stop>[.!?。]?)")
DEEPEST = 64
KEYS = ("final_answer", "answer", "answer_choice")
LABEL_KEYS = (*KEYS, "label", "class", "category")
SUMMARY_KEYS = ("summary", "denser_summary", *KEYS)


@lru_cache(maxsize=8)
def _marks(nouns: Sequence[str]) -> re.Pattern[str]:
    """A mark at the start of a line: "Answer:", with emphasis as in "**Answer**:", or a heading "### Answer"."""
    words = rf"{ADJECTIVES}(?:{'|'.join(nouns)})"
    return re.compile(
        rf"^[ \t]*(?:[^\w\s:#]{{1,3}}[ \t]+|#{{1,6}}[ \t]*){{0,4}}(?:(?P<mark>\*{{1,3}}|_{{1,3}}|`|)"
        rf"{words}(?:(?P=mark)[ \t]*[:：]|[ \t]*[:：](?P<open>(?!(?P=mark)))?(?P=mark)?)"
        rf"|(?<=#)[ \t]*(?:\*\*)?{words}(?:\*\*)?[ \t\r]*$|(?P<alone>\*\*|__){words}(?P=alone)[ \t\r]*$)",
        re.MULTILINE | re.IGNORECASE,
    )


def stated(text: str, *, nouns: Sequence[str] = NOUNS, keys: Sequence[str] = KEYS, leading: bool = False) -> str:
    """The stated answer, or the whole text, without surrounding blanks and Markdown around all of it.

    A text with more than `DEEPEST` marks inside one another is a loop of them and states nothing. With `leading` only
    a mark that opens the text counts: the answer is prose of several lines, and may say "Answer:".
    """
    return stated_and_rest(text, nouns=nouns, keys=keys, leading=leading)[0]


def stated_and_rest(
    text: str, *, nouns: Sequence[str], keys: Sequence[str], leading: bool = False, tags: Sequence[str] = ()
) -> tuple[str, str]:
    """As `stated`, with what follows the tag that encloses the answer; `tags` are others than those of an answer."""
    text, rest, names = _without_closing(text.strip()), "", (*ANSWER_TAGS, *tags)
    for _ in range(DEEPEST):
        inner, behind = _after_mark(_in_json(text, keys), nouns, leading, names)
        inner = _inside(inner).strip()
        if inner == text or len(inner) >= len(text):
            return text, rest
        text, rest = inner, behind + rest
    return "", ""


def _without_closing(text: str) -> str:
    """The text without the lines at its end that only close it politely; never without its first line."""
    head, _, line = text.rpartition("\n")
    while head.strip() and CLOSING.fullmatch(line):
        text = head.rstrip()
        head, _, line = text.rpartition("\n")
    return text


def _after_mark(text: str, nouns: Sequence[str], leading: bool, tags: Sequence[str]) -> tuple[str, str]:
    """The text behind the last mark, or inside the last tag if that comes later, and what follows the tag."""
    marks = _marks(tuple(nouns))
    found = marks.match(text) if leading else _last(marks, text)
    tag = _last(_elements(tuple(tags)), text) if "<" in text else None
    if tag and (found is None or tag.start() > found.start()):
        return tag["inner"], text[tag.end() :]
    if found is None:
        return text, ""
    behind = text[found.end() :].strip()
    if found["mark"] and found["open"] is not None:  # "**Answer: neutral**": the emphasis ends behind the answer
        behind = behind.replace(found["mark"], "", 1)
    return behind, ""


@lru_cache(maxsize=8)
def _elements(tags: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"<(?P<tag>{'|'.join(tags)})>(?P<inner>.*?)(?:</(?P=tag)>|\Z)", re.DOTALL | re.IGNORECASE)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for found in pattern.finditer(text):
        last = found
    return last


def _in_json(text: str, keys: Sequence[str]) -> str:
    """The answer in the JSON object at the end of the text, before a closing phrase; without one, the text itself."""
    end = text.rfind("}") + 1
    remark = text[end:].lstrip("`~] \t\r\n")
    if not end or (remark and not CLOSING.fullmatch(remark)):
        return text
    value = closing_object(text[: len(text) - len(remark)])
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    try:
        found = field_of(value, keys)
    except KeyError:
        return text
    return text if isinstance(found, dict | list) else text_of(found)


def _inside(text: str) -> str:
    """The text inside a fence or an emphasis that encloses all of it."""
    opened = FENCE.match(text)
    if (
        opened
        and text.endswith(opened["fence"])
        and text.find(opened["fence"], opened.end()) == text.rfind(opened["fence"])
    ):
        return text[opened.end() : -len(opened["fence"])]
    if text[:1] not in "*_`" or IDENTIFIER.fullmatch(text):
        return text
    found = BOLD.fullmatch(text) or UNDERLINED.fullmatch(text) or CODE.fullmatch(text)
    return found["inner"] + found["stop"] if found else text
