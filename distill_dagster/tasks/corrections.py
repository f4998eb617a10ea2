"""The last label that a text states, where it states several, corrects itself, or only speaks of a label.

    "The answer is entailment. Wait, no: it is neutral."      neutral
    "entailment", then "So the answer is neutral."            neutral
    "entailment", then "Wait, that is wrong."                 None: nothing is stated any more
    "neutral", then "Entailment would need more."             neutral: an explanation
    "I first thought the answer is entailment."               None

Words such as "Wait" or "Actually" at the start of a sentence announce a correction. If the rest of that sentence, or of
one that follows, is a label, it replaces the earlier one.
"""

import re
from collections.abc import Sequence

from distill_dagster.tasks.folding import folded
from distill_dagster.tasks.labels import match_label

SPOKEN = re.compile(
    r"\b(?:(?P<strict>answer|label|verdict|prediction)|relation(?:ship)?|classification|category)\s*"
    r"(?:\b(?:is|should be|must be|has to be)\b|(?P<would>\bwould be\b)|[:=：])[\s*:]*",
    re.IGNORECASE,
)
MOST = 32  # statements that are read, from the end
SENTENCE_END = re.compile(r"[.;!?](?=\s|$)|\n|[。！？；]|\s[—–]\s|—")
CLAUSE = re.compile(r"[,;:.!?\n]|\b(?:and|but|so|then|therefore|thus|hence)\b", re.IGNORECASE)
UNSURE = re.compile(  # before "the answer is", in its clause
    r"\b(?:(?:i|we|at|had) first|first (?:thought|impression|guess)|initially|originally|previously|thought|believed|"
    r"assumed|guessed|tempting|tempted|could|may|might|whether|not|never|nor|cannot|nobody|unlikely|doubt|wrong|"
    r"incorrect|mistaken|mistake|instead of|rather than)\b|n['’]t\b",
    re.IGNORECASE,
)
IF = re.compile(r"\b(?:if|unless|were|had)\b", re.IGNORECASE)
RETRACTED = (  # at the start of a sentence
    r"wait(?=\s*[,.:;!…-]|\s+(?:no|that|i|it|let|actually|a)\b|\s*$)|hold on|hang on|scratch that|strike that|"
    r"correction|oops|on second thoughts?|let me (?:re\w+|correct|think again|double[- ]check|check again)|"
    r"i (?:made a mistake|misread|misunderstood|misspoke|take (?:that|it) back|correct myself|stand corrected)|"
    r"i (?:must|need to|have to) correct|i (?:must |need to |have to |will )?change my|my mistake|my bad|hmm+|quatsch|"
    r"attends|attendez|un momento|стоп|"
    r"подожди(?:те)?|不对|不對|等等|等一下|更正|いや|待って|訂正|아니"
)
WAS_WRONG = re.compile(
    r"\b(?:that|my (?:\w+ )?(?:answer|label|choice|guess))(?:['’]s| is| was)(?: \w+ly| just)? "
    r"(?:wrong|incorrect|not (?:quite )?(?:right|correct)|a mistake|an error|mistaken)\b"
    r"|\bi (?:was|am) (?:wrong|mistaken)\b",
    re.IGNORECASE,
)
TURNED = (  # at the start of a sentence, if it goes on with a label
    r"no(?=\s*[,.:;!…-]|\s*$)|nope|actually|rather|instead|or rather|i mean|i meant|sorry|apologies|in fact|eigentlich|"
    r"vielmehr|nein|en réalité|non(?=\s*[,.:;!])|en realidad|perdón|нет|其实|其實|实际上|實際上|抱歉"
)
LEADING = r"[\s,.:;!*_()…-]*(?:(?:oh|ah|and|but|well|so|no)\b[\s,]*){0,2}"
RETRACTION = re.compile(rf"{LEADING}(?:{RETRACTED})(?!\w)", re.IGNORECASE)
TURN = re.compile(rf"{LEADING}(?:{TURNED})(?!\w)", re.IGNORECASE)
LEAD = re.compile(
    rf"(?:[\s,.:;!*_…-]*(?:(?:{RETRACTED}|{TURNED}|oh|ah|and|but|well|so|it|this|that|the|correct|right|final|now)(?!\w)|"
    r"(?:answer|label|would|should|must|has|to|be|is|i|think|really)(?!\w)|['’]s(?!\w)|[应應]?[该該]?是))+"
    r"[\s,.:;!*_…-]*",
    re.IGNORECASE,
)
AGAIN = re.compile(r"[\s*_#>(-]*(?:edit|update|final|corrected|correct|revised|new)\b", re.IGNORECASE)
BETTER = re.compile(
    r"[\s*_\"'`]{0,4}\b(?:is|would be|seems|fits)\s+(?:(?:the|actually|clearly|probably|more|much|a)\s+)*"
    r"(?:right|correct|better|best|accurate|appropriate|answer|label)\b|[\s*_\"'`]{0,4}\bfits (?:better|best)\b",
    re.IGNORECASE,
)


def last_stated(text: str, labels: Sequence[str], label: str | None = None) -> str | None:
    """The last label that `text` states, if it follows the statement of `label`; None if it takes that back."""
    found = list(SPOKEN.finditer(text))[-MOST:]
    at = found[0].start() if found and label is None else 0
    for number, one in enumerate(found):
        if one.start() < at:
            continue
        label = _corrected(text[at : one.start()], labels, label)
        before = text[max(0, one.start() - 200) : one.start()]
        ends = SENTENCE_END.search(text, one.end())
        at = ends.start() if ends else len(text)
        said, rest = text[one.end() : at], text[one.end() :] if number == len(found) - 1 else ""
        if whole := match_label(rest, labels) if rest != said else None:  # a label that holds the end of a sentence
            said, at = whole, len(text)
        is_asked = text[at : at + 1] == "?" and not any(own.endswith("?") for own in labels)
        label = _said(one, before, said, labels, label, is_asked)
    return _corrected(text[at:], labels, label)


def _said(
    one: re.Match[str], before: str, said: str, labels: Sequence[str], label: str | None, is_asked: bool
) -> str | None:
    """The label once the statement `said` is read; `before` is the text in front of it."""
    own, sentence = CLAUSE.split(before)[-1], SENTENCE_END.split(before)[-1]
    others = named(" ".join(folded(said).split()), labels)
    if is_asked or UNSURE.search(own) or (one["would"] and IF.search(sentence)):
        return None if label in others else label
    if found := match_label(said, labels):
        return found
    return None if others or one["strict"] else label


def _corrected(text: str, labels: Sequence[str], label: str | None) -> str | None:
    """The label after sentences that state none by name, unless they correct `label`."""
    if not text.strip(" \t\r\n.*_)]}>`$"):
        return label
    before, is_open = label, False
    for sentence in SENTENCE_END.split(text):
        is_retraction, is_turn = RETRACTION.match(sentence), TURN.match(sentence)
        is_wrong = WAS_WRONG.search(sentence)
        is_open = is_open or bool(before and (is_retraction or is_wrong))
        bare = "" if is_wrong else LEAD.sub("", sentence, count=1) if is_retraction or is_turn or is_open else ""
        if before and bare and (found := match_label(bare, labels)):
            label = found
        elif is_retraction or is_wrong or (is_turn and {*named(folded(sentence), labels)} - {label}):
            label = None
        elif before and (other := _other(sentence, labels)) and other != label:
            label = other if is_open or AGAIN.match(sentence) or BETTER.search(sentence) else None
    return label


def _other(sentence: str, labels: Sequence[str]) -> str | None:
    """The label that is the whole sentence, stands behind its heading, or is called the right one."""
    _, mark, rest = sentence.replace("：", ":").partition(":")
    if found := match_label(sentence, labels) or (match_label(rest, labels) if mark else None):
        return found
    better = BETTER.search(sentence)
    before = folded(sentence[: better.start()]) if better else ""
    names = named(before, labels)
    return names[0] if len(names) == 1 and before.endswith(folded(names[0])) else None


def named(text: str, labels: Sequence[str]) -> list[str]:
    """The labels that a folded text names; a label inside a longer one ("agree" in "do not agree") is not named."""
    found = []
    for label in sorted(labels, key=lambda one: -len(folded(one))):
        form = re.compile(rf"(?<!\w){re.escape(folded(label))}(?!\w)")
        if folded(label) and form.search(text):
            found.append(label)
            text = form.sub("\0", text) if sum(folded(one) == folded(label) for one in labels) == 1 else text
    return found
