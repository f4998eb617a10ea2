"""The Alpaca format: `{"instruction": str, "input"?: str, "output"?: str, "id"?, …}`.

    {"instruction": "Add the numbers.", "input": "2, 2", "output": "4"}
    Draft(messages=[{"role": "user", "content": "Add the numbers.\\n\\n2, 2"}, {"role": "assistant", …}], …)

Instruction and input form one user turn, with an empty line between them; a blank one of the two counts as missing, as
in the data set that gave the format its name. The framing text of Alpaca's own training prompt is left out, because
chat templates do that work.
"""

from typing import Any

from distill_dagster.sources.formats.chat import COMMON, Draft, make_draft
from distill_dagster.sources.formats.prompt_completion import exchange

KNOWN = COMMON | {"instruction", "input", "output"}


def fits(row: dict[str, Any]) -> bool:
    """Whether the object looks like this format."""
    return "instruction" in row


def draft(row: dict[str, Any]) -> Draft:
    """The row's fields by name."""
    asked = _asked(row.get("instruction"), row.get("input"))
    return make_draft(row, exchange(asked, row.get("output")), "instruction", KNOWN)


def _asked(instruction: Any, given: Any) -> Any:
    """The user's text; if one of the two is not text, that one, which is then judged as the message's content."""
    if not isinstance(instruction, str) or given is None or (isinstance(given, str) and not given.strip()):
        return instruction
    if not instruction.strip():
        return given
    return f"{instruction}\n\n{given}" if isinstance(given, str) else [{"role": "user", "content": given}]
