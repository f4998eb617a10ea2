"""Who is asked what, turn by turn: the calls of a shard, and the conversations that grow out of them.

All conversations of a shard are asked together, round by round, and a teacher sees its own earlier replies:

    round 0   every row's first user turn          (a single-turn row is finished here)
    round 1   S, user 1, the teacher's reply, user 2
    …

What a turn adds to its conversation is the answer in the reply, without a reasoning model's thoughts. A row is asked
`generation.samples` times of its own teacher, and as often of each teacher of the panel. Which of a mix is a row's own
follows from its id alone, so that neither order nor shard moves a row to another teacher.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from distill_dagster.config import GenerationConfig
from distill_dagster.generation.smoke import SmokeGate
from distill_dagster.store.hashing import sha256
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import Prompt, prompts_of, with_replies
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Entry, request_hash
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import Question, Teacher

PREVIOUS_TURN_FAILED = "previous_turn_failed"
Row = Mapping[str, Any]


class Asking(Protocol):
    """What rounds need of an `Asker`."""

    def advance(self, units: int) -> None:
        """Hear of calls that are done."""
        ...

    def ask(self, teacher: Teacher, questions: Sequence[Question], gate: SmokeGate | None = None) -> dict[str, Entry]:
        """Replies by request hash; a request without one counts as failed."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One turn of a row, asked for the `sample`-th time."""

    row: int  # position in the shard
    sample: int
    turn: int
    teacher: Teacher
    question: Question


@dataclass(frozen=True, slots=True)
class Panel:
    """The teachers of a shard, opened."""

    own: Sequence[tuple[float, Teacher]]  # with weights
    others: Sequence[Teacher]
    samples: int

    @property
    def answers(self) -> int:
        """Answers to each row."""
        return self.samples * (1 + len(self.others))

    def dtype(self, device: str) -> str:
        """The precision that the first teacher's weights have on the device; that of an endpoint is not known."""
        return self.own[0][1].dtype(device)

    def teacher(self, row_id: str, sample: int) -> Teacher:
        """Who gives a row its `sample`-th answer."""
        return self._own(row_id) if sample < self.samples else self.others[sample // self.samples - 1]

    def _own(self, row_id: str) -> Teacher:
        """The row's teacher of a mix: a place in [0, sum of weights), fixed by the id."""
        place = int(sha256(f"teacher:{row_id}")[:13], 16) / 16**13 * sum(weight for weight, _ in self.own)
        for weight, teacher in self.own:
            if place < weight:
                return teacher
            place -= weight
        return self.own[-1][1]


def open_panel(faculty: Faculty, generation: GenerationConfig, device: str) -> Panel:
    """The teachers that answer the rows."""
    own = [(weight, open_teacher(ref, generation, device)) for weight, ref in faculty.teachers]
    return Panel(own, [open_teacher(ref, generation, device) for ref in faculty.panel], generation.samples)


@dataclass(slots=True)
class Rounds:
    """The rounds of one shard."""

    rows: Sequence[Row]
    panel: Panel
    generation: GenerationConfig
    how: Asked
    asker: Asking

    def run(self, gate: SmokeGate | None) -> list[tuple[Call, Entry]]:
        """Every turn of every row with the reply that it got; the first round passes the gate, if any."""
        prompts = [prompts_of(row) for row in self.rows]
        replies: dict[tuple[int, int], list[str] | None] = {  # None: a turn of it has failed
            (i, sample): [] for i in range(len(self.rows)) for sample in range(self.panel.answers)
        }
        answered: list[tuple[Call, Entry]] = []
        for turn in range(max(map(len, prompts), default=0)):
            asked = [key for key in replies if turn < len(prompts[key[0]])]
            calls = [self._call(i, n, prompts[i][turn], replies[i, n]) for i, n in asked]
            for call, entry in self._ask(calls, gate if turn == 0 else None):
                history = replies[call.row, call.sample]
                if history is not None:
                    failed = entry["finish_reason"] == "error"
                    said = self.how.read(self.rows[call.row]["task"], entry["text"]).answer or ""
                    replies[call.row, call.sample] = None if failed else [*history, said]
                answered.append((call, entry))
        return answered

    def _call(self, position: int, sample: int, prompt: Prompt, replies: list[str] | None) -> Call:
        """The request for one turn; its question is empty where an earlier turn has failed."""
        row_id, task = self.rows[position]["row_id"], self.rows[position]["task"]
        teacher = self.panel.teacher(row_id, sample)
        messages = self.how.ask(task, with_replies(prompt, replies)) if replies is not None else []
        form = self.how.response_format(task)
        key = request_hash(teacher, messages, form, self.generation, row_id, sample % self.panel.samples)
        return Call(position, sample, prompt.turn, teacher, Question(key, messages, form))

    def _ask(self, calls: Sequence[Call], gate: SmokeGate | None) -> list[tuple[Call, Entry]]:
        """The replies to a round's calls, teacher by teacher."""
        asked: dict[int, list[Call]] = {}
        for call in calls:
            if call.question.messages:
                asked.setdefault(id(call.teacher), []).append(call)
        self.asker.advance(sum(not call.question.messages for call in calls))
        replies: dict[str, Entry] = {}
        for group in asked.values():
            over = gate.over({call.question.request_hash: self.rows[call.row] for call in group}) if gate else None
            replies |= self.asker.ask(group[0].teacher, [call.question for call in group], over)
        return [(call, replies.get(call.question.request_hash) or _not_asked(call)) for call in calls]


def _not_asked(call: Call) -> Entry:
    """What stands for a reply where an earlier turn has failed."""
    return {
        "request_hash": call.question.request_hash,
        "teacher": call.teacher.name,
        "teacher_revision": call.teacher.revision,
        "text": None,
        "reasoning": None,
        "finish_reason": "error",
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "latency_ms": 0.0,
        "attempts": 0,
        "cost_usd": 0.0,
        "logprobs": None,
        "error_code": PREVIOUS_TURN_FAILED,
        "error": "an earlier turn of the conversation failed",
        "created_at": None,
    }
