"""Chain of thought: the teacher reasons first and answers last, both in one JSON object (Wei et al. 2022).

    system   The instructions of the task: <instructions>Label the claim: …</instructions>
             Decide how the hypothesis … Think step by step … {"reason": "...", "answer_choice": "..."}
    reply    {"reason": "The note says 12 euros, the claim more than 15.", "answer_choice": "contradiction"}

The reason comes before the answer, so that the model writes it first: explaining an answer that is already written
cannot improve it.
"""

import json
from collections.abc import Sequence
from typing import Any

from distill_dagster.tasks.reading import field_of, text_of

REASON = "reason"
SYNONYMS = ("answer_choice", "answer")  # models confuse the two


def around(system: str | None, instructions: str) -> str:
    """A system message with `instructions`, which quotes the row's own system message if there is one."""
    if not system or not system.strip():
        return instructions
    return (
        f"The instructions of the task:\n<instructions>\n{system.strip()}\n</instructions>\n\n{instructions}\n\n"
        "Where the instructions ask for another form of the reply, what they ask for goes into the JSON object."
    )


def instructions(guide: str, key: str, form: str, labels: Sequence[str] | None) -> str:
    """What the reply must be, in words; `labels` appear as JSON strings, since they may hold any character."""
    if labels:
        form = f"exactly one of these labels, spelled as here: {', '.join(_quoted(label) for label in labels)}"
    return (
        f"{guide} Think step by step before you decide.\n"
        f'Reply with one JSON object and nothing else: {{"{REASON}": "...", "{key}": "..."}}\n'
        f'"{REASON}" holds your reasoning, step by step, and comes first.\n'
        f'"{key}" holds {form}.'
    )


def _quoted(label: str) -> str:
    return json.dumps(label, ensure_ascii=False, allow_nan=False)


def schema(key: str) -> dict[str, Any]:
    """The JSON schema of the reply; every answer is text, since not every number is a decimal (1/3)."""
    return {
        "type": "object",
        "properties": {REASON: {"type": "string"}, key: {"type": "string"}},
        "required": [REASON, key],
        "additionalProperties": False,
    }


def unpack(value: Any, key: str) -> tuple[str, str | None] | None:
    """Answer and reason in a JSON value; None where it has no answer, or the answer is an object or a list."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    try:
        answer = field_of(value, (key, *SYNONYMS))
    except KeyError:
        return None
    if isinstance(answer, dict | list):
        return None
    try:
        reason = text_of(field_of(value, (REASON, "reasoning"))) or None
    except KeyError:
        reason = None
    return text_of(answer), reason
