"""Which teacher is asked what, turn by turn: the calls of a shard, and the conversations that they make.

Each round asks one turn of all conversations of a shard, and a teacher sees its own earlier replies:

    round 0   every row's first user turn          (a single-turn row is finished here)
    round 1   S, user 1, the teacher's reply, user 2
    …

A turn adds the answer in its reply to the conversation, without a reasoning model's thoughts. A row's own teacher gives
`generation.samples` answers, and so does each teacher of the panel. The row's id alone decides which teacher of a mix
is its own, so that neither order nor shard moves a row to another teacher.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from distill_dagster.config import GenerationConfig
from distill_dagster.store.hashing import prompt_hash, sha256
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import Prompt, prompts_of, with_replies
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import request_hash
from distill_dagster.teachers.batching.records import Batching
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import PREVIOUS_TURN_FAILED, Reply, Request, Teacher
from distill_dagster.teachers.smoke import SmokeGate

Row = Mapping[str, Any]


class ReplySource(Protocol):
    """Where rounds get their replies: an `Asker` in a run, an estimate in a plan."""

    @property
    def advance(self) -> Callable[[int], None]:
        """Called with the number of calls that are done."""
        ...

    def ask(self, teacher: Teacher, requests: Sequence[Request], gate: SmokeGate | None = None) -> dict[str, Reply]:
        """Replies by request hash; a request without one counts as failed."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One turn of a row, asked for the `sample`-th time. Equal calls of two rows share one request."""

    row: int  # position in the shard
    sample: int
    turn: int
    teacher: Teacher
    request: Request  # without messages if an earlier turn failed: such a request is never sent


@dataclass(frozen=True, slots=True)
class Panel:
    """The teachers of a shard, ready to be asked."""

    own: Sequence[tuple[float, Teacher]]  # with weights
    others: Sequence[Teacher]
    samples: int

    @property
    def answers(self) -> int:
        """Answers to each row."""
        return self.samples * (1 + len(self.others))

    def dtype(self, device: str) -> str:
        """The precision of the first teacher's weights on the device, or "not known" of an endpoint."""
        return self.own[0][1].dtype(device)

    def teacher(self, row_id: str, sample: int) -> Teacher:
        """The teacher that gives a row its `sample`-th answer."""
        return self._own(row_id) if sample < self.samples else self.others[sample // self.samples - 1]

    def _own(self, row_id: str) -> Teacher:
        """The row's teacher of a mix. The id fixes a place in [0, sum of weights), and so a teacher."""
        place = int(sha256(f"teacher:{row_id}")[:13], 16) / 16**13 * sum(weight for weight, _ in self.own)
        for weight, teacher in self.own:
            if place < weight:
                return teacher
            place -= weight
        return self.own[-1][1]


def open_panel(faculty: Faculty, generation: GenerationConfig, device: str, batching: Batching | None = None) -> Panel:
    """The faculty's teachers and panel, ready to be asked."""
    own = [(weight, open_teacher(ref, generation, device, batching)) for weight, ref in faculty.teachers]
    others = [open_teacher(ref, generation, device, batching) for ref in faculty.panel]
    return Panel(own, others, generation.samples)


@dataclass(slots=True)
class Rounds:
    """The rounds of one shard."""

    rows: Sequence[Row]
    panel: Panel
    generation: GenerationConfig
    how: Asked
    source: ReplySource

    def run(self, gate: SmokeGate | None) -> list[tuple[Call, Reply]]:
        """Every call with its reply; the first round passes the gate, if there is one."""
        prompts = [prompts_of(row) for row in self.rows]
        histories: dict[tuple[int, int], list[str] | None] = {  # by row and sample; None: a turn has failed
            (i, sample): [] for i in range(len(self.rows)) for sample in range(self.panel.answers)
        }
        answered: list[tuple[Call, Reply]] = []
        for turn in range(max(map(len, prompts), default=0)):
            asked = [key for key in histories if turn < len(prompts[key[0]])]
            calls = [self._call(i, n, prompts[i][turn], histories[i, n]) for i, n in asked]
            for call, reply in self._ask(calls, gate if turn == 0 else None):
                history = histories[call.row, call.sample]
                if history is not None:
                    answer = self.how.read(self.rows[call.row]["task"], reply.text).answer or ""
                    histories[call.row, call.sample] = [*history, answer] if reply.ok else None
                answered.append((call, reply))
        return answered

    def _call(self, position: int, sample: int, prompt: Prompt, history: list[str] | None) -> Call:
        """One turn's call; `history` holds the answers to the turns before, None if one of them failed."""
        row_id, task = self.rows[position]["row_id"], self.rows[position]["task"]
        teacher = self.panel.teacher(row_id, sample)
        messages = self.how.ask(task, with_replies(prompt, history)) if history is not None else []
        form = self.how.response_format(task)
        key = request_hash(teacher, messages, form, row_id, sample % self.panel.samples)
        asked = Request(key, messages, form, prompt_hash(prompt.messages))
        return Call(position, sample, prompt.turn, teacher, asked)

    def _ask(self, calls: Sequence[Call], gate: SmokeGate | None) -> list[tuple[Call, Reply]]:
        """The replies to a round's calls, teacher by teacher."""
        asked: dict[int, list[Call]] = {}
        for call in calls:
            if call.request.messages:
                asked.setdefault(id(call.teacher), []).append(call)
        self.source.advance(sum(not call.request.messages for call in calls))
        replies: dict[str, Reply] = {}
        for group in asked.values():
            over = gate.over({call.request.request_hash: self.rows[call.row] for call in group}) if gate else None
            replies |= self.source.ask(group[0].teacher, [call.request for call in group], over)
        return [(call, replies.get(call.request.request_hash) or _not_asked(call)) for call in calls]


def _not_asked(call: Call) -> Reply:
    """The reply of a call that was never made, because an earlier turn failed."""
    return Reply(
        call.request.request_hash,
        None,
        "error",
        attempts=0,
        error_code=PREVIOUS_TURN_FAILED,
        error="an earlier turn of the conversation failed",
        teacher=call.teacher.name,
        teacher_revision=call.teacher.revision,
    )
