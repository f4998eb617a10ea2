"""The reasons for which answers are refused: their order, and each in words as docs/verdicts.md has them.

in_order({"off_form": 3, "failed": 2})      {"failed": 2, "off_form": 3}, in the order in which they are tried
titled("failed")                            "failed (E014): the teacher gave no answer"
"""

from collections.abc import Mapping

from distill_dagster.quality.filters.reasons import ID_CONFLICT, REASONS, RULES

IN_WORDS = {
    ID_CONFLICT: "different rows in different shards have one id",
    "unknown_row": "no source row has that id and turn",
    "contaminated": "a held-out row has the same prompt, or nearly the same",
    "earlier_turn": "an earlier turn of the conversation was refused",
    "failed": "the teacher gave no answer",
    "truncated": "the answer was cut off at the token limit",
    "unfinished": "the answer stopped for another reason before the model ended it",
    "empty": "the answer is empty",
    "placeholder": 'the answer is a word such as "None"',
    "refusal": "the server says that the model refused, or the answer begins by declining",
    "off_form": "the answer is not in the task's form",
    "no_reasoning": "the answer has no reasoning, and student.learn: reasoning_and_answer teaches it",
    "self_reference": "the teacher speaks of itself as a language model",
    "repetition": "the answer repeats a sentence or line four times in a row",
    "echo": "the answer repeats the prompt",
    "personal_data": "the row contains a secret or personal data, and quality.personal_data is reject",
    "gold_disagreement": "the answer scores 0 against the gold answer",
    "duplicate_prompt": "another row has the same prompt",
    "near_duplicate": "another row has nearly the same prompt",
    "repeated_row": "the same answer occurs twice",
    "label_cap": "other rows already fill the share of its label, quality.max_label_share",
}


def in_order(by_reason: Mapping[str, int]) -> dict[str, int]:
    """The reasons for which something was refused, in the order in which they are tried; others come last."""
    others = [name for name in by_reason if name not in REASONS]  # of a set that another version made
    return {name: by_reason[name] for name in (*REASONS, *others) if by_reason.get(name)}


def titled(reason: str) -> str:
    """A reason with its code, if it has one, and in words; one of another version by its name alone."""
    code = f" ({RULES[reason]})" if RULES.get(reason, reason) != reason else ""
    return f"{reason}{code}: {IN_WORDS[reason]}" if reason in IN_WORDS else reason
