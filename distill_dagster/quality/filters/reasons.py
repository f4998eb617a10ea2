"""Why a teacher row is refused: the reject row, its sentence, and the verdict code that a slug belongs to.

code "contaminated", message "E012: test row 'test.csv#9' asks the same (sample 0, turn 0)"
"""

from collections.abc import Mapping
from typing import Any

STAGE = "validated_synthetic_set"
SNIPPET = 200  # characters of a refused answer that are kept
ID_CONFLICT = "E011"

RULES = {
    "contaminated": "E012",
    "failed": "E014",
    "truncated": "E014",
    "unfinished": "E014",
    "empty": "E014",
    "placeholder": "E014",
    "refusal": "E014",
    "self_reference": "E014",
    "repetition": "E014",
    "echo": "E014",
    "off_form": "E013",
    "no_reasoning": "E013",
    "duplicate_prompt": "E011",
    "near_duplicate": "E011",
    ID_CONFLICT: "E011",
}


def reject_row(teacher: Mapping[str, Any], raw: Mapping[str, Any] | None, reason: str, other: str) -> dict[str, Any]:
    """The row of records.REJECT; `other` names what the row clashes with, where it does."""
    rule = f"{RULES[reason]}: " if reason in RULES else ""
    sentence = _sentence(reason, teacher, other)
    return {
        "shard": raw["shard"] if raw else None,
        "line": raw["source_line"] if raw else None,
        "row_id": teacher["row_id"],
        "stage": STAGE,
        "code": reason,
        "message": f"{rule}{sentence} (sample {teacher['sample']}, turn {teacher['turn']})",
        "snippet": (teacher["raw_text"] or "")[:SNIPPET],
    }


def _sentence(reason: str, teacher: Mapping[str, Any], other: str) -> str:
    """The reason in words that name the values."""
    return {
        "unknown_row": f"no raw row has the id {teacher['row_id']!r} and such a turn",
        ID_CONFLICT: f"id {teacher['row_id']!r} belongs to different rows, in the shards {other}",
        "contaminated": other,
        "earlier_turn": f"turn {other} of the conversation was refused",
        "failed": f"the request failed with {teacher['error_code']}",
        "truncated": f"the answer was cut off after {teacher['completion_tokens']} tokens",
        "unfinished": f"finish_reason is {teacher['finish_reason']!r}, not 'stop'",
        "empty": "the answer is blank",
        "placeholder": "the answer is a word that stands for none",
        "refusal": "the answer opens by declining to answer",
        "off_form": "the text holds no answer in the task's form",
        "no_reasoning": "the reply gives no reason for its answer, which student.learn asks for",
        "self_reference": "the answer speaks of itself as a language model",
        "repetition": "a sentence or line of the answer stands there four times in a row",
        "echo": "the answer is the prompt said back",
        "personal_data": "a secret or personal data is in it, which quality.personal_data refuses",
        "gold_disagreement": f"the answer scores 0 against the gold answer {other}",
        "repeated_row": "this row, sample and turn is in the set already",
        "duplicate_prompt": f"row {other} asks the same",
        "near_duplicate": f"row {other} asks nearly the same",
        "label_cap": f"quality.max_label_share is reached for {other}",
    }[reason]
