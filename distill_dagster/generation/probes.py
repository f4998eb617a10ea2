"""Short requests that find a refused parameter before the rows are paid for.

A run sends its first requests with the parameters of `generation`. Other teachers, the judge and the benchmark follow
when the rows are paid. So each of them gets one short request first, with the parameters that it will get:

    one teacher, generation.temperature 0       every request has the same parameters: no probe
    one teacher, generation.temperature 0.7     the benchmark will ask at 0: one probe
    one teacher, a panel of two, a judge        three probes

Probes are part of the trial of a new teacher, so `teacher.smoke.rows: 0` skips them too. An endpoint that refuses a
parameter stops the run there (teachers/unsupported.py). The reply to a probe is kept like
any other; a probe that fails for another reason stops nothing.
"""

from collections.abc import Iterator
from typing import Any

from distill_dagster.config import GenerationConfig, SmokeConfig
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.hashing import canonical_json
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Probe, request_hash
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import Request, Teacher
from distill_dagster.teachers.sampling import GREEDY

MESSAGES = [{"role": "user", "content": "Reply with OK."}]
JUDGE_GENERATION = GenerationConfig(max_new_tokens=256)


def probes_of(faculty: Faculty, generation: GenerationConfig, smoke: SmokeConfig) -> list[Probe]:
    """One for each endpoint and its parameters, except those of the first requests; none without a trial."""
    if not smoke.rows:
        return []
    distinct: dict[str, Teacher] = {}
    for ref, asked_with in _uses(faculty, generation):
        if ref.endpoint is not None:
            teacher = open_teacher(ref, asked_with, "cpu")  # without batching: a probe does not wait for hours
            distinct.setdefault(canonical_json([teacher.identity, _sampling(teacher)]), teacher)
    first = 1 if len(faculty.teachers) == 1 and faculty.teachers[0][1].endpoint else 0
    return [_probe(teacher) for teacher in list(distinct.values())[first:]]


def _uses(faculty: Faculty, generation: GenerationConfig) -> Iterator[tuple[ModelRef, GenerationConfig]]:
    """Who is asked with which parameters: to teach, to judge, to be measured."""
    for ref in [*(ref for _, ref in faculty.teachers), *faculty.panel]:
        yield ref, generation
    if faculty.judge is not None:
        yield faculty.judge, JUDGE_GENERATION
    yield faculty.teachers[0][1], GREEDY.model_copy(update={"max_new_tokens": generation.max_new_tokens})


def _sampling(teacher: Teacher) -> dict[str, Any]:
    return {name: value for name, value in teacher.sampling.items() if name != "max_new_tokens"}


def _probe(teacher: Teacher) -> Probe:
    return teacher, Request(request_hash(teacher, MESSAGES, None, "", 0), MESSAGES)
