"""Chooses one of a row's several answers, which the student learns.

    sample   answer        majority   gold ["18"]   judge says 2
    0        "18"          0.50       1             0
    1        "18"          0.50       1             0
    2        "20"          0.00       0             1

The number is stored as the answer's `agreement`. The answer with the highest one is chosen; of equals, the first.
`majority` is the mean agreement with the row's other answers by the task's own measure (self-consistency, Wang et al.
2022, for labels and numbers; minimum Bayes risk with ROUGE-L for free text). All turns of a conversation are chosen
together, by their mean.
"""

import contextlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from distill_dagster.tasks import Task, get_task
from distill_dagster.tasks.json_text import objects_in
from distill_dagster.tasks.reading import field_of
from distill_dagster.tasks.thoughts import part_thoughts

NUMBER = re.compile(r"([0-9]{1,9})(?:\.0+)?")
JUDGE_PROMPT = (
    "Below are a conversation and {count} candidate replies to its last message. Pick the reply that is most correct "
    'and most helpful. Answer with JSON only: {{"best": <number>}}.'
)
JUDGE_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "choice",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"best": {"type": "integer"}},
            "required": ["best"],
            "additionalProperties": False,
        },
    },
}


def agreements(
    task_name: str,
    answers: Sequence[Sequence[str | None]],
    gold: Sequence[Sequence[str]] | None,
    labels: Sequence[str] | None = None,
) -> list[float]:
    """One number in 0 … 1 for each of the row's answers. An answer is the list of its turns; None is a turn that does
    not parse.

    With `gold` (gold answers by turn, at least one) it is the agreement with these, else with the row's other answers.
    """
    task = get_task(task_name)
    if gold is not None and any(gold):
        return [
            _mean(task.score(turn, g, labels) for turn, g in zip(turns, gold, strict=True) if g) for turns in answers
        ]
    return [
        _mean(
            _same(task, mine, theirs, labels)
            for j, other in enumerate(answers)
            if j != i
            for mine, theirs in zip(turns, other, strict=True)
        )
        for i, turns in enumerate(answers)
    ]


def _same(task: Task, mine: str | None, theirs: str | None, labels: Sequence[str] | None) -> float:
    return task.agreement(mine, theirs, labels) if mine is not None and theirs is not None else 0.0


def _mean(values: Any) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else 0.0


def judge_messages(messages: Sequence[Mapping[str, str]], answers: Sequence[str]) -> list[dict[str, str]]:
    """The judge's prompt: the row's messages as text, and its answers numbered from 1."""
    asked = "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)
    replies = "\n\n".join(f"[reply {number}]\n{answer}" for number, answer in enumerate(answers, 1))
    return [
        {"role": "system", "content": JUDGE_PROMPT.format(count=len(answers))},
        {"role": "user", "content": f"{asked}\n\n{replies}"},
    ]


def read_choice(text: str | None, count: int) -> int | None:
    """The position that the judge picked, from 0; None if the text names none.

    Reads JSON as tolerantly as from a teacher; of several objects the last one with a choice counts.
    """
    _, said = part_thoughts(text or "")
    for value in reversed(objects_in(said) or ()):
        with contextlib.suppress(KeyError):
            best = NUMBER.fullmatch(str(field_of(value, ["best"])))
            return int(best[1]) - 1 if best and 1 <= int(best[1]) <= count else None
    return None
