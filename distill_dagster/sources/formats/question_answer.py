"""Questions with answers, as SQuAD, GSM8K and Orca write them: `{"question": str, "context"?, "answer"?, …}`.

    {"question": "Who?", "context": "Ann left.", "answers": {"text": ["Ann"], "answer_start": [0]}}
    Draft(messages=[{"role": "user", "content": "Who?"}], meta={"context": …, "answers": …}, …)

keys.py reads the context and the answers, as it does for any format.
"""

from typing import Any

from distill_dagster.sources.formats.chat import COMMON, Draft, make_draft
from distill_dagster.sources.formats.prompt_completion import exchange

KNOWN = COMMON | {"question"}


def fits(row: dict[str, Any]) -> bool:
    """Whether the object looks like this format."""
    return "question" in row


def draft(row: dict[str, Any]) -> Draft:
    """The row's fields by name."""
    return make_draft(row, exchange(row.get("question"), None), "question", KNOWN)
