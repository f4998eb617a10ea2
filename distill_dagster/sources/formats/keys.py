"""Reads the keys beside a row's messages that change the question; key_table.py says which keys these are.

    {"instruction": "May?", "output": "13", "systemPrompt": "Be brief.", "history": [["April?", "12"]], "lang": "en"}
    system "Be brief.", user "April?", assistant "12", user "May?", assistant "13"; meta {"lang": "en"}

A key of the table is read where that can be right, and refused where it cannot: E017 for what is not text (tools,
media, a form of the answer), E018 for a second text that says something else than the messages. A text that a message
holds anyway is a copy. A key that is not in the table says something about the row (its source, a score) and stays in
`meta`, as do the keys that `data.meta_keys` names.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.copies import are_listed
from distill_dagster.sources.formats.gold_keys import read_answer, read_answers, read_label, read_pointer
from distill_dagster.sources.formats.key_readers import READERS
from distill_dagster.sources.formats.key_table import choice_series, kind_of, place_of, says_something
from distill_dagster.sources.formats.turns import WAY_OUT, plain_key

WHY_NOT = {  # what is never read
    "tools": "a model would see tools",
    "media": "a model would see more than text",
    "form": "it fixes the form of the answer",
    "template": "it changes how the prompt is written",
}
EVERY_READER: dict[str, Callable[[Draft, str, Any], None]] = {
    **READERS,
    "answer": read_answer,
    "answers": read_answers,
    "label": read_label,
    "pointer": read_pointer,
}


def read_keys(draft: Draft, kept: Collection[str]) -> None:
    """Read the keys beside the messages of a draft, whose turns are read; `kept` names keys that change nothing."""
    if not isinstance(draft.messages, list) or not draft.messages:
        return
    kept = set(map(plain_key, kept))
    meta = {key: value for key, value in (draft.meta or {}).items() if plain_key(key) not in kept}
    for key in sorted(filter(kind_of, meta), key=place_of):
        if says_something(key, meta[key]):
            EVERY_READER.get(kind_of(key) or "", _refuse)(draft, key, meta[key])
    for keys in choice_series(meta):
        if not are_listed(draft, [meta[key] for key in keys]):
            draft.faults.append(_unlisted(draft, keys))


def _refuse(draft: Draft, key: str, value: Any) -> None:
    draft.faults.append(("E017", f"`{key}` cannot be sent: {WHY_NOT[kind_of(key) or '']}; {WAY_OUT}"))


def _unlisted(draft: Draft, keys: Sequence[str]) -> tuple[str, str]:
    return (
        "E018",
        f"`{keys[0]}` to `{keys[-1]}` hold choices that `{draft.key}` does not list, so they would not be sent: put "
        f"them into `{draft.key}` and the right one into `reference`, or name the keys in data.meta_keys if they "
        "change nothing",
    )
