"""Answers on which teacher and student differ most, beside the gold answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from distill_dagster.config import Role
from distill_dagster.report.document import ExamplePair, ScoredText

EXAMPLES = 20
EXAMPLE_CHARACTERS = 600

Row = Mapping[str, Any]


def example_pairs(predictions: Mapping[Role, Sequence[Row]], rows: Sequence[Row]) -> list[ExamplePair]:
    """At most EXAMPLES pairs, the student's losses first, then its gains, which fill a third if there are enough.

    `rows` are the held-out rows; an example whose row is not among them has no question.
    """
    by_id = {row["row_id"]: row for row in rows}
    students = {(row["row_id"], row["turn"]): row for row in predictions["student"]}
    pairs = [
        (teacher, student)
        for teacher in predictions["teacher"]
        if teacher["score"] is not None and (student := students.get((teacher["row_id"], teacher["turn"])))
    ]
    pairs.sort(key=lambda pair: (-abs(pair[0]["score"] - pair[1]["score"]), pair[0]["row_id"], pair[0]["turn"]))
    losses = [pair for pair in pairs if pair[0]["score"] > pair[1]["score"]]
    gains = [pair for pair in pairs if pair[0]["score"] < pair[1]["score"]]
    gained = min(len(gains), max(EXAMPLES // 3, EXAMPLES - len(losses)))
    chosen = losses[: EXAMPLES - gained] + gains[:gained]
    return [_pair(teacher, student, by_id.get(teacher["row_id"])) for teacher, student in chosen]


def _pair(teacher: Row, student: Row, raw: Row | None) -> ExamplePair:
    return ExamplePair(
        row_id=teacher["row_id"],
        turn=teacher["turn"],
        task=teacher["task"],
        question=_question(raw, teacher["turn"]),
        reference=[_cut(text) for text in teacher["reference"]],
        teacher=_scored(teacher),
        student=_scored(student),
    )


def _scored(row: Row) -> ScoredText:
    return ScoredText(text=_cut(row["prediction"]), score=row["score"], is_cut_off=row["finish_reason"] == "length")


def _question(raw: Row | None, turn: int) -> str | None:
    """The user turn that both answered."""
    users = [m["content"] for m in raw["messages"] if m["role"] == "user"] if raw else []
    return _cut(users[turn]) if turn < len(users) else None


def _cut(text: str) -> str:
    return text if len(text) <= EXAMPLE_CHARACTERS else text[:EXAMPLE_CHARACTERS] + " …"
