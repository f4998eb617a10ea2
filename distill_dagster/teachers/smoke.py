"""The smoke gate: a new teacher or prompt answers a few rows before it gets all of them.

    16 rows -> teacher -> parser -> the row filters of quality/
    2 refused: the teacher has passed, and the other rows are asked
    9 refused: the run stops and shows some of them; the 16 answers are kept

A document records that a teacher passed with these sampling parameters and prompts. After a change of any of
them the teacher has to pass again.
"""

import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from distill_dagster.config import SmokeConfig
from distill_dagster.errors import TeacherError
from distill_dagster.store import hashing
from distill_dagster.store.documents import Documents
from distill_dagster.teachers.protocol import Reply, Teacher

Row = Mapping[str, Any]
SHOWN = 5  # failing rows in the message
SNIPPET = 120  # characters of each


@dataclass(frozen=True, slots=True)
class SmokeGate:
    """The gate of one shard."""

    config: SmokeConfig
    documents: Documents  # one for each teacher and prompt that passed
    asked_as: Mapping[str, Any]  # how teachers are prompted; with a teacher's identity and sampling it names the file
    reason_of: Callable[[Row, Reply], str | None]  # raw row, reply -> why the reply would be refused, or None
    row_of: Mapping[str, Row] = field(default_factory=dict)  # request hash -> raw row

    def over(self, row_of: Mapping[str, Row]) -> "SmokeGate":
        """The gate for these requests."""
        return replace(self, row_of=row_of)

    def choose(self, teacher: Teacher, hashes: Sequence[str], answered: Container[str]) -> list[str]:
        """The requests to try first, spread evenly over all; none if the teacher has passed or no others would follow.

        The choice is the same each time, so that a run that the gate stopped stops again.
        """
        count = min(self.config.rows, len(hashes))
        tried = [hashes[i * len(hashes) // count] for i in range(count)]
        others = any(key not in answered for key in set(hashes).difference(tried))
        return tried if others and self.documents.read(self._passed(teacher)) is None else []

    def judge(self, teacher: Teacher, replies: Mapping[str, Reply]) -> None:
        """Record that the teacher passed.

        Raises:
            TeacherError: more than the allowed share of the replies would be refused; the first ones are shown.
        """
        reasons = {key: reason for key, reply in replies.items() if (reason := self.reason_of(self.row_of[key], reply))}
        if len(reasons) > self.config.max_failed_share * len(replies):
            raise TeacherError(_message(teacher, replies, reasons, self.config.max_failed_share))
        said = json.dumps({"rows": len(replies), "refused": len(reasons)}, allow_nan=False)
        self.documents.write(self._passed(teacher), said + "\n")

    def _passed(self, teacher: Teacher) -> str:
        key = hashing.sha256(hashing.canonical_json([teacher.identity, {**teacher.sampling, **self.asked_as}]))
        return f"{key[:16]}.json"


def _message(teacher: Teacher, replies: Mapping[str, Reply], reasons: Mapping[str, str], allowed: float) -> str:
    shown = [
        f"  {reason}: {(replies[key].text or replies[key].error or '')[:SNIPPET]!r}"
        for key, reason in list(reasons.items())[:SHOWN]
    ]
    return (
        f"smoke gate: {len(reasons)} of the first {len(replies)} answers of {teacher.name} would be refused, "
        f"teacher.smoke.max_failed_share is {allowed:.0%}; no other row was asked. Some of them:\n"
        + "\n".join(shown)
        + "\nFix the prompt, the parser or the teacher; or raise the share, or set teacher.smoke.rows to 0"
    )
