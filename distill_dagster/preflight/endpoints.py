"""Keys and endpoints: one small request to each endpoint that a run would ask.

The request carries the same parameters as those of the run. Its reply is stored under a name of its own, so that its
cost counts in the budget, and the estimates of a plan do not see it.
"""

import time
from collections.abc import Iterator
from typing import Any

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import UserError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.preflight.requirement import Requirement, require
from distill_dagster.store.hashing import sha256
from distill_dagster.teachers.asker import Asker
from distill_dagster.teachers.budget import Budget, FailureWatch
from distill_dagster.teachers.causes import place_of
from distill_dagster.teachers.client import read_headers
from distill_dagster.teachers.endpoint import ApiTeacher, read_key
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.responses import Responses

JOURNAL = "preflight"
MESSAGE = "Reply with the word OK."
ATTEMPTS = 2  # a run has more, but nobody waits for it yet


def endpoint_requirements(look: Snapshot, endpoints: list[EndpointConfig], ask: bool) -> Iterator[Requirement]:
    """The key of each endpoint, and whether it answers; without `ask` nothing is sent."""
    for endpoint in endpoints:
        key = require("key", endpoint.model, lambda endpoint=endpoint: _key(endpoint))
        yield key
        if key.state == "ok":
            yield _answers(look, endpoint) if ask else _not_asked(endpoint)


def _key(endpoint: EndpointConfig) -> str:
    read_key(endpoint)
    read_headers(endpoint)
    return f"{endpoint.api_key} is set" if endpoint.api_key else "none is sent"


def _not_asked(endpoint: EndpointConfig) -> Requirement:
    said = f"{place_of(endpoint)}: `distill-dagster check` sends it one request"
    return Requirement("endpoint", endpoint.model, "not checked", said)


def _answers(look: Snapshot, endpoint: EndpointConfig) -> Requirement:
    try:
        reply = _ask(look, endpoint)
    except UserError as e:
        return Requirement("endpoint", endpoint.model, "error", str(e))
    if reply.ok:
        return Requirement("endpoint", endpoint.model, "ok", f"{place_of(endpoint)} answered")
    said = f"{place_of(endpoint)}: a short request failed ({reply.error_code}: {reply.error}); those of the run may too"
    return Requirement("endpoint", endpoint.model, "warning", said)


def _ask(look: Snapshot, endpoint: EndpointConfig) -> Reply:
    teacher_config = look.config.teacher
    patience = endpoint.model_copy(update={"attempts": min(ATTEMPTS, endpoint.attempts)})
    teacher = ApiTeacher(patience, teacher_config.generation)
    teacher.name = f"{JOURNAL}: {endpoint.model}"
    never_sent_before = sha256(f"{JOURNAL} {place_of(endpoint)} {time.time_ns()}")
    request = Request(never_sent_before, [{"role": "user", "content": MESSAGE}])
    responses = Responses(look.project.responses)
    with responses.journal(JOURNAL) as journal:
        budget = Budget(teacher_config.budget_usd, responses)
        asker = Asker(responses, journal, budget, FailureWatch(1.0), _no_progress)
        return asker.ask(teacher, [request], role=JOURNAL)[never_sent_before]


def _no_progress(_: Any) -> None:
    """One request makes no bar."""
