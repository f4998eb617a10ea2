"""Amazon Bedrock's format, `bedrock-conversation-2024`: content in blocks, the system prompt beside the messages.

    {"schemaVersion": "bedrock-conversation-2024", "system": [{"text": "Be brief."}],
     "messages": [{"role": "user", "content": [{"text": "2 + 2?"}]}]}
    Draft(messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}], …)

Several text blocks of one message become its lines. With a block that is not text (an image, a tool call) the content
stays a list, which E017 refuses.
"""

from typing import Any

from distill_dagster.sources.formats.chat import COMMON, Draft, make_draft
from distill_dagster.sources.formats.turns import joined

VERSION = "bedrock-conversation-2024"
KNOWN = COMMON | {"schemaVersion", "system", "messages"}


def fits(row: dict[str, Any]) -> bool:
    """Whether the object looks like this format."""
    return row.get("schemaVersion") == VERSION and "messages" in row


def draft(row: dict[str, Any]) -> Draft:
    """The row's fields by name."""
    system, turns = row.get("system"), row.get("messages")
    if isinstance(turns, list):
        turns = [_message(turn) for turn in turns]
        if system is not None and system != []:
            turns = [{"role": "system", "content": joined(system)}, *turns]
    return make_draft(row, turns, "messages", KNOWN)


def _message(turn: Any) -> Any:
    return {**turn, "content": joined(turn["content"])} if isinstance(turn, dict) and "content" in turn else turn
