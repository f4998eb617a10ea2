"""Asks a teacher only what was never answered before: stored replies are found, the other requests are sent.

requests   r1 r2 r2 r3      two rows with the same prompt share one request at temperature 0
found      r1               in a journal or a segment of `responses/`
sent       r2 r3            each reply is written to the journal before anything else happens
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from distill_dagster.store import hashing
from distill_dagster.teachers.budget import Budget, FailureWatch
from distill_dagster.teachers.counted import answer_counted
from distill_dagster.teachers.journal import ReplyLog
from distill_dagster.teachers.protocol import Reply, Request, Teacher
from distill_dagster.teachers.responses import Responses
from distill_dagster.teachers.sampling import is_sampled
from distill_dagster.teachers.smoke import SmokeGate


def request_hash(
    teacher: Teacher,
    messages: Sequence[dict[str, str]],
    response_format: dict[str, Any] | None,
    row_id: str,
    sample: int,
) -> str:
    """Identifies a request: what the teacher reads, the teacher, the sampling parameters that it is
    sent, the sample's number.

    At temperature 0 two rows with the same prompt share one request; above it each row draws its own answer.
    """
    key = {
        "prompt": teacher.render(messages, response_format) if messages else None,  # None: never sent
        "model": teacher.identity,
        "params": teacher.sampling,
        "sample": sample,
        "row_id": row_id if is_sampled(teacher.sampling) or not messages else None,
    }
    return hashing.sha256(hashing.canonical_json(key))


Probe = tuple[Teacher, Request]


@dataclass(slots=True)
class CallTally:
    """Totals of the requests so far. `reused` ones were answered before and cost nothing now."""

    asked: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    estimated: int = 0  # requests whose tokens the server did not count


@dataclass(slots=True)
class Asker:
    """Asks the teachers of one shard, or one model that is measured behind an endpoint."""

    responses: Responses
    journal: ReplyLog
    budget: Budget
    watch: FailureWatch
    advance: Callable[[int], None]  # called with the number of calls that are done
    probes: Sequence[Probe] = ()  # sent before the first request that is new, unless they are answered
    tally: CallTally = field(default_factory=CallTally)
    _times: Counter[str] = field(default_factory=Counter)  # how many calls share a request

    def ask(
        self, teacher: Teacher, requests: Sequence[Request], gate: SmokeGate | None = None, role: str = "teacher"
    ) -> dict[str, Reply]:
        """The reply to each request, by hash. With a `gate`, a few requests are sent and judged before the others.

        Telemetry counts them under `role`.

        Raises:
            TeacherError: the teacher cannot be asked, fails too often, or does not pass the gate.
            BudgetError: the budget is spent.
        """
        distinct = {request.request_hash: request for request in requests}
        self._times = Counter(request.request_hash for request in requests)
        replies = self.responses.find(distinct)
        self.tally.reused += len(replies)
        self.advance(sum(self._times[key] for key in replies))
        if gate is not None and (tried := gate.choose(teacher, list(distinct), replies)):
            self._send(teacher, [distinct[key] for key in tried if key not in replies], replies, role)
            gate.judge(teacher, {key: replies[key] for key in tried})
        self._send(teacher, [request for key, request in distinct.items() if key not in replies], replies, role)
        return replies

    def _send(self, teacher: Teacher, requests: Sequence[Request], replies: dict[str, Reply], role: str) -> None:
        if not requests:
            return
        probes, self.probes = self.probes, ()
        for prober, probe in probes:
            if not self.responses.find([probe.request_hash]):
                self._send(prober, [probe], {}, "probe")
        self.budget.check()
        prompts = {request.request_hash: request.prompt for request in requests}

        def record(reply: Reply) -> None:
            stored = _storable(reply, teacher)._replace(prompt=prompts.get(reply.request_hash))
            self.journal.append(stored._asdict())
            replies[stored.request_hash] = stored
            self._count(stored)

        answer_counted(teacher, requests, record, role)

    def _count(self, reply: Reply) -> None:
        self.tally.asked += 1
        self.tally.prompt_tokens += reply.prompt_tokens
        self.tally.completion_tokens += reply.completion_tokens
        self.tally.cost_usd += reply.cost_usd
        self.tally.estimated += bool(reply.estimated)
        self.advance(self._times[reply.request_hash])
        self.budget.charge(reply)
        self.watch.see(reply)


class AskingLimits(Protocol):
    """The fields of a spec that say where replies are stored, and when to stop asking."""

    @property
    def responses(self) -> str:
        """The folder of stored replies."""
        ...

    @property
    def stop_failed_share(self) -> float:
        """The share of failed requests at which to stop."""
        ...

    @property
    def budget_usd(self) -> float | None:
        """The project's budget."""
        ...


@contextmanager
def open_asker(
    limits: AskingLimits, journal: str, advance: Callable[[int], None] = lambda done: None
) -> Iterator[Asker]:
    """An asker within the limits of a spec; new replies go to the journal of this name."""
    responses = Responses(limits.responses)
    with responses.journal(journal) as opened:
        budget, watch = Budget(limits.budget_usd, responses), FailureWatch(limits.stop_failed_share)
        yield Asker(responses, opened, budget, watch, advance)


def _storable(reply: Reply, teacher: Teacher) -> Reply:
    """The reply with who gave it and when, and without halves of surrogate pairs, which no table can hold."""
    values = (hashing.storable(value) if isinstance(value, str) else value for value in reply)
    now = datetime.now(UTC).isoformat()
    return Reply._make(values)._replace(teacher=teacher.name, teacher_revision=teacher.revision, created_at=now)
