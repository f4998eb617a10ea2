"""Asking a teacher, and never twice for the same: replies come from what was paid for before, the rest is asked.

questions  q1 q2 q2 q3      two rows with one prompt are one request at temperature 0
found      q1               in a journal or a segment of `responses/`
asked      q2 q3            each reply is in the journal before anything else happens
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from distill_dagster.config import GenerationConfig
from distill_dagster.generation.smoke import SmokeGate
from distill_dagster.store import hashing
from distill_dagster.teachers.budget import Budget, FailureWatch
from distill_dagster.teachers.journal import Journal
from distill_dagster.teachers.protocol import Question, Reply, Teacher
from distill_dagster.teachers.responses import Entry, Responses


def request_hash(
    teacher: Teacher,
    messages: Sequence[dict[str, str]],
    response_format: dict[str, Any] | None,
    generation: GenerationConfig,
    row_id: str,
    sample: int,
) -> str:
    """What makes a request the same request: what is asked, who is asked, how it is sampled, the sample's number.

    At temperature 0 two rows with one prompt are one request; above it each row draws its own answer.
    """
    key = {
        "prompt": teacher.render(messages, response_format) if messages else None,  # None: never asked
        "model": teacher.identity,
        "params": sampling_params(generation),
        "sample": sample,
        "row_id": row_id if generation.temperature > 0 or not messages else None,
    }
    return hashing.sha256(hashing.canonical_json(key))


def sampling_params(generation: GenerationConfig) -> dict[str, Any]:
    """The parameters that decide which tokens are chosen; what only batches them is left out."""
    params: dict[str, Any] = {"temperature": generation.temperature, "max_new_tokens": generation.max_new_tokens}
    return params if generation.temperature == 0 else {**params, "top_p": generation.top_p, "seed": generation.seed}


@dataclass(slots=True)
class Tally:
    """What asking came to: `reused` requests were answered before and cost nothing now."""

    asked: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(slots=True)
class Asker:
    """Asks teachers on behalf of one shard."""

    responses: Responses
    journal: Journal
    budget: Budget
    watch: FailureWatch
    heard: Callable[[int], None]
    tally: Tally = field(default_factory=Tally)
    _times: Counter[str] = field(default_factory=Counter)  # how many calls share a request

    def advance(self, units: int) -> None:
        """Tell whoever watches that so many calls are done."""
        self.heard(units)

    def ask(self, teacher: Teacher, questions: Sequence[Question], gate: SmokeGate | None = None) -> dict[str, Entry]:
        """The reply to each question, by hash; with a `gate`, a few are asked and judged before the others.

        Raises:
            TeacherError: the teacher cannot be asked, fails too often, or does not pass the gate.
            BudgetError: the budget is spent.
        """
        distinct = {question.request_hash: question for question in questions}
        self._times = Counter(question.request_hash for question in questions)
        replies = self.responses.find(distinct)
        self.tally.reused += len(replies)
        self.advance(sum(self._times[key] for key in replies))
        if gate is not None and (tried := gate.choose(teacher, list(distinct), replies)):
            self._ask(teacher, [distinct[key] for key in tried if key not in replies], replies)
            gate.judge(teacher, {key: replies[key] for key in tried})
        self._ask(teacher, [question for key, question in distinct.items() if key not in replies], replies)
        return replies

    def _ask(self, teacher: Teacher, questions: Sequence[Question], replies: dict[str, Entry]) -> None:
        if not questions:
            return
        self.budget.check()

        def record(reply: Reply) -> None:
            now = datetime.now(UTC).isoformat()
            said = {name: hashing.storable(v) if isinstance(v, str) else v for name, v in asdict(reply).items()}
            entry = {**said, "teacher": teacher.name, "teacher_revision": teacher.revision, "created_at": now}
            self.journal.append(entry)
            replies[reply.request_hash] = entry
            self._count(reply)

        teacher.answer(questions, record)

    def _count(self, reply: Reply) -> None:
        self.tally.asked += 1
        self.tally.prompt_tokens += reply.prompt_tokens
        self.tally.completion_tokens += reply.completion_tokens
        self.tally.cost_usd += reply.cost_usd
        self.advance(self._times[reply.request_hash])
        self.budget.charge(reply)
        self.watch.see(reply)
