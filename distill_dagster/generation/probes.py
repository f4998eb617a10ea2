"""Short requests that find a refused parameter before the rows are paid for.

A run sends its first requests with the parameters of `generation`. Other teachers, the judge and the benchmark follow
when the rows are paid. So each of them gets one short request first, with the parameters that it will get, JSON mode
included:

    one teacher, generation.temperature 0       every request has the same parameters: no probe
    the same, batch: true                       a batch would show a refusal only when it ends: one probe
    one teacher, generation.temperature 0.7     the benchmark will ask at 0: one probe
    one teacher, a panel of two, a judge        three probes; that of the judge asks for JSON

Probes are part of the smoke gate, so `teacher.smoke.rows: 0` skips them too. An endpoint that refuses a
parameter stops the run there (teachers/unsupported.py). The reply to a probe is kept like
any other; a probe that fails for another reason stops nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distill_dagster.config import GenerationConfig, SmokeConfig
from distill_dagster.generation.choosing import JUDGE_FORMAT
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.hashing import canonical_json
from distill_dagster.tasks.asked import Asked
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Probe, request_hash
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import Request, Teacher
from distill_dagster.teachers.sampling import GREEDY

MESSAGES = [{"role": "user", "content": "Reply with OK."}]
JSON_MESSAGES = [{"role": "user", "content": "Reply with a JSON object."}]  # the mode wants the word in the prompt
JUDGE_GENERATION = GenerationConfig(max_new_tokens=256)
Form = dict[str, Any] | None


def probes_of(faculty: Faculty, generation: GenerationConfig, smoke: SmokeConfig, form: Form = None) -> list[Probe]:
    """One for each endpoint and its parameters, except those of the first requests; none without the smoke gate.

    `form` is the `response_format` of the rows, if they ask for JSON.
    """
    if not smoke.rows:
        return []
    distinct: dict[str, Probe] = {}
    for ref, asked_with, asked_form in _uses(faculty, generation, form):
        if ref.endpoint is not None:
            teacher = open_teacher(ref, asked_with, "cpu")  # without batching: a probe does not wait for hours
            sent = asked_form if ref.endpoint.json_mode != "none" else None
            key = canonical_json([teacher.identity, _sampling(teacher), sent is not None])
            distinct.setdefault(key, _probe(teacher, sent))
    only = faculty.teachers[0][1].endpoint if len(faculty.teachers) == 1 else None
    return list(distinct.values())[1 if only and not only.batch else 0 :]


def form_of(rows: Sequence[Mapping[str, Any]], how: Asked) -> Form:
    """The `response_format` of a shard's requests; None if none of them asks for JSON."""
    forms = (how.response_format(task) for task in dict.fromkeys(row["task"] for row in rows))
    return next((form for form in forms if form is not None), None)


def _uses(
    faculty: Faculty, generation: GenerationConfig, form: Form
) -> Iterator[tuple[ModelRef, GenerationConfig, Form]]:
    """Who is asked with which parameters: to teach, to judge, to be measured."""
    for ref in [*(ref for _, ref in faculty.teachers), *faculty.panel]:
        yield ref, generation, form
    if faculty.judge is not None:
        yield faculty.judge, JUDGE_GENERATION, JUDGE_FORMAT
    yield faculty.teachers[0][1], GREEDY.model_copy(update={"max_new_tokens": generation.max_new_tokens}), form


def _sampling(teacher: Teacher) -> dict[str, Any]:
    return {name: value for name, value in teacher.sampling.items() if name != "max_new_tokens"}


def _probe(teacher: Teacher, form: Form) -> Probe:
    messages = MESSAGES if form is None else JSON_MESSAGES
    return teacher, Request(request_hash(teacher, messages, form, "", 0), messages, form)
