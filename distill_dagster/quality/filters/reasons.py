"""Why a teacher row is refused: all reasons in order, the reject row, and the verdict code of a reason.

code "contaminated", message "E012: test row 'test.csv#9' asks the same (sample 0, turn 0)"
"""

from collections.abc import Mapping
from typing import Any

from distill_dagster.quality.filters.row_filters import FILTERS

STAGE = "validated_synthetic_set"
SNIPPET = 200  # characters of a refused answer that are kept
ID_CONFLICT = "E011"

BEFORE_FILTERS = (
    ID_CONFLICT,  # two different raw rows have the id, so nobody can say which one the teacher answered
    "unknown_row",  # no raw row has this id and turn
    "contaminated",  # a held-out row has the same prompt, see contamination.py
    "earlier_turn",  # an earlier turn of this conversation was refused, and the teacher built on it
)
AFTER_FILTERS = (
    "duplicate_prompt",  # another row has the same prompt; the first by row id stays
    "near_duplicate",  # another row has nearly the same prompt, see near.py; the first by row id stays
    "repeated_row",  # the set already has this row, sample and turn
)
REASONS = (*BEFORE_FILTERS, *(keep.__name__ for keep in FILTERS), *AFTER_FILTERS, "label_cap")  # the first one counts

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
    """The row of schemas.REJECT; `other` names what the row clashes with, if anything."""
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
        "unknown_row": f"no raw row has the id {teacher['row_id']!r} and this turn",
        ID_CONFLICT: f"different rows have the id {teacher['row_id']!r}, in the shards {other}",
        "contaminated": other,
        "earlier_turn": f"turn {other} of the conversation was refused",
        "failed": f"the request failed with {teacher['error_code']}",
        "truncated": f"the answer was cut off after {teacher['completion_tokens']} tokens",
        "unfinished": f"finish_reason is {teacher['finish_reason']!r}, not 'stop'",
        "empty": "the answer is blank",
        "placeholder": "the answer is a placeholder such as 'None' or 'N/A'",
        "refusal": "the model declines to answer",
        "off_form": "the text holds no answer in the task's form",
        "no_reasoning": "the reply gives no reason for its answer, and student.learn requires one",
        "self_reference": "the answer speaks of itself as a language model",
        "repetition": "the answer repeats a sentence or line four times in a row",
        "echo": "the answer repeats the prompt",
        "personal_data": "the row holds a secret or personal data, which quality.personal_data refuses",
        "gold_disagreement": f"the answer scores 0 against the gold answer {other}",
        "repeated_row": "the set already has this row, sample and turn",
        "duplicate_prompt": f"row {other} asks the same",
        "near_duplicate": f"row {other} asks nearly the same",
        "label_cap": f"quality.max_label_share is reached for {other}",
    }[reason]
