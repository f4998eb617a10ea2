"""The formats of rows, and how to recognize one from a file's first rows."""

from collections.abc import Callable, Collection, Iterable
from types import ModuleType
from typing import Any

from distill_dagster.sources.formats import (
    alpaca,
    bedrock,
    chat,
    input_output,
    prompt_completion,
    question_answer,
    sharegpt,
)
from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.keys import read_keys
from distill_dagster.sources.formats.turns import is_blank, read_turns

FORMATS: dict[str, ModuleType] = {  # in this order, since Bedrock's rows look like chat, Alpaca's like input/output
    bedrock.VERSION: bedrock,
    "chat": chat,
    "sharegpt": sharegpt,
    "prompt_completion": prompt_completion,
    "alpaca": alpaca,
    "input_output": input_output,
    "question_answer": question_answer,
}
FIRST_ROWS = 20  # rows from which the format is recognized


def detect(rows: Iterable[dict[str, Any]]) -> str:
    """The format that most of `rows` fit; chat if they fit none."""
    fitting = dict.fromkeys(["chat", *FORMATS], 0)
    for row in rows:
        name = next((name for name, form in FORMATS.items() if form.fits(row)), None)
        if name is not None:
            fitting[name] += 1
    return max(fitting, key=fitting.__getitem__)


def reader(name: str) -> Callable[[dict[str, Any]], Draft]:
    """The function that reads one row of the format `name`."""
    return FORMATS[name].draft


def complete(draft: Draft, kept: Collection[str]) -> None:
    """Read what a draft holds beside plain turns; what cannot be sent becomes a fault. `kept`: `data.meta_keys`."""
    golds = draft.reference if isinstance(draft.reference, list) else [draft.reference]
    if all(map(is_blank, golds)):
        draft.reference = None  # blank answers count as none, as null does
    read_turns(draft, kept)
    read_keys(draft, kept)
