"""The input/output format: `{"input": str or messages, "output"?: str or messages, "id"?, …}`.

{"input": "2 + 2?", "output": "4"}
Draft(messages=[{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}], …)
"""

from typing import Any

from distill_dagster.sources.formats.chat import COMMON, Draft, make_draft
from distill_dagster.sources.formats.prompt_completion import exchange

KNOWN = COMMON | {"input", "output"}


def fits(row: dict[str, Any]) -> bool:
    """Whether the object looks like this format; Alpaca's rows, which have an `input` too, are recognized before."""
    return "input" in row


def draft(row: dict[str, Any]) -> Draft:
    """The row's fields by name; an `input` that is a whole request (OpenAI's preference data) is read as one."""
    asked = row.get("input")
    if isinstance(asked, dict) and "messages" in asked:
        row = {**row, **{key: value for key, value in asked.items() if key not in ("messages", "input")}}
        asked = asked["messages"]
    return make_draft(row, exchange(asked, row.get("output")), "input", KNOWN)
