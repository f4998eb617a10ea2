"""Whether a text opens by declining to answer, in any of the languages of refusals.yaml.

    "I'm sorry, but I can't help with that."          declines
    "Es tut mir leid, dabei kann ich nicht helfen."   declines
    "As an AI language model, I have no opinions."    declines
    "I'm sorry, the table is taken."                  a good answer: it says sorry and answers
    "As an AI pioneer, Turing asked for a test."      a good answer
    "I can't help but agree."                         a good answer
    '"I can't help with that," said the clerk.'       a good answer: it quotes a refusal

The English openings follow the refusal strings of Zou et al. 2023 ("Universal and Transferable Adversarial Attacks on
Aligned Language Models", appendix B), narrowed to those that decline: a bare "I'm sorry" opens good answers in service
dialogues.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import regex
import yaml

from distill_dagster.tasks.folding import folded

OPENING = 300  # characters that are looked at
DECORATION = "*_`\"'#> \t\n"
VOWELS = regex.compile("[\u064b-\u0652\u0640]")  # Arabic's short vowels, which most texts leave out
JOINT = r"[\s,.!;:、。،؛-]*"
BECAUSE = r",?\s(?:because|since|as it|due to|da|weil|porque|car|parce|perché|omdat|так как|потому|لأن)\b"
STOP = rf"(?=\s?(?:[.!;。；।؛]|$)|{BECAUSE})"
END = rf"(?=\s?(?:[.!;。；।؛,:،]|$)|{BECAUSE})"
QUOTED = regex.compile(r"[*_>\s]*(?:\"[^\"]*\"|'[^\"]*?[.,!?]'(?=\s))")
SAID = regex.compile(  # what makes a quotation of what precedes it
    r"[\s,.!?\"'-]*(?:(?:he|she|they|it|the \w+) )?(?:said|says|replied|answered|whispered|told|sagte|antwortete|dijo|"
    r"respondió|dit|répondit|disse|respondeu|rispose|zei|antwoordde|сказала?|ответила?)\b"
)
NAME = regex.compile(r"\{([a-z]+)\}")


@cache
def refusal_table() -> dict[str, Any]:
    """refusals.yaml: language -> its phrases."""
    return yaml.safe_load((files("distill_dagster.quality.filters") / "refusals.yaml").read_text(encoding="utf-8"))


def declines(text: str) -> bool:
    """Whether `text` opens by declining."""
    plain = _plain(text[:OPENING])
    quoted = QUOTED.match(plain)
    if quoted and any(map(str.isalpha, plain[quoted.end() :])):
        return False
    opening = plain.lstrip(DECORATION)
    found = filter(None, (pattern.match(opening) for pattern in _patterns()))
    return any(not SAID.match(opening, one.end()) for one in found)


@cache
def _patterns() -> list[regex.Pattern[str]]:
    return [_pattern(phrases) for phrases in refusal_table().values()]


def _pattern(phrases: Mapping[str, Any]) -> regex.Pattern[str]:
    """One language: what declines, alone or behind an apology, or behind what a model calls itself."""
    sorry, sadly = phrases["sorry"], phrases.get("sadly", phrases["sorry"])
    declines, unable = _any(phrases["declines"]), _any([*phrases["declines"], *phrases.get("unable", ())])
    but, and_ = (rf"{JOINT}(?:(?:{phrases[key]}){JOINT})?" for key in ("but", "and"))
    apology = rf"(?:(?:{sorry}|{sadly}){but}){{0,2}}"
    whole = rf"{apology}{declines}|{apology}(?:{phrases['model']}){and_}{unable}"
    if behind := phrases.get("after_sorry"):
        whole += rf"|(?:{sorry}){but}{_any(behind)}"
    return regex.compile(_plain(_filled(whole, {**phrases, "end": END, "stop": STOP})))


def _any(entries: Sequence[str]) -> str:
    return f"(?:{'|'.join(entries)})"


def _filled(pattern: str, phrases: Mapping[str, Any]) -> str:
    """The pattern with the language's entries in place of their names."""
    while found := NAME.search(pattern):
        pattern = pattern.replace(found[0], f"(?:{phrases[found[1]]})")
    return pattern


def _plain(text: str) -> str:
    return VOWELS.sub("", folded(text))
