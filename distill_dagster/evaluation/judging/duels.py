"""Two answers to one prompt: the judge sees them as reply 1 and reply 2, and then the other way round.

    first order   reply 1 is the student's    "1"     the student's
    second order  reply 1 is the teacher's    "2"     the student's      both agree: the student wins

If the orders disagree, the judge looks at the place and not at the answer: that is a tie. Nothing says who wrote which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from distill_dagster.generation.choosing import JUDGE_FORMAT, judge_messages, read_choice
from distill_dagster.teachers.asker import request_hash
from distill_dagster.teachers.protocol import Reply, Request, Teacher

Outcome = Literal["first", "second", "tie", "unread"]
Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Duel:
    """Two answers to the prompt of a row; `key` tells it from other duels of the row."""

    row_id: str
    key: str
    messages: Messages
    first: str
    second: str

    def requests(self, judge: Teacher) -> tuple[Request, Request]:
        """The request in each order."""
        orders = ((self.first, self.second), (self.second, self.first))
        one, other = (judge_messages(self.messages, order) for order in orders)
        return self._request(judge, one, 0), self._request(judge, other, 1)

    def _request(self, judge: Teacher, messages: list[dict[str, str]], order: int) -> Request:
        key = request_hash(judge, messages, JUDGE_FORMAT, f"{self.row_id}/{self.key}", order)
        return Request(key, messages, JUDGE_FORMAT)

    def outcome(self, judge: Teacher, replies: Mapping[str, Reply]) -> Outcome:
        """What both replies say together."""
        straight, turned = (_choice(replies[request.request_hash]) for request in self.requests(judge))
        if straight is None or turned is None:
            return "unread"
        if straight == turned:  # the same place, which is the other answer
            return "tie"
        return "first" if straight == 0 else "second"


def _choice(reply: Reply) -> int | None:
    return read_choice(reply.text, 2) if reply.finish_reason == "stop" else None
