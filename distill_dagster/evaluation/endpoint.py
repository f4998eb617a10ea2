"""A model behind an endpoint on the held-out rows: its replies, and the sampling that it accepts.

The requests that time the model (speed/over_http.py) are sent first, one after another and never in a batch. The others
follow as fast as the endpoint's limits allow. All replies are stored in the project's responses: a benchmark that is
made again pays nothing.
"""

from collections.abc import Sequence
from typing import Any

from distill_dagster.config import GenerationConfig
from distill_dagster.evaluation.asking import benchmark_requests, draw, one_by_one
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.progress import track
from distill_dagster.tasks.prompts import Prompt
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import open_asker
from distill_dagster.teachers.batching.records import Batching
from distill_dagster.teachers.body import sampling_sent
from distill_dagster.teachers.protocol import Reply


def ask_endpoint(spec: BenchmarkSpec, prompts: Sequence[Prompt]) -> list[Reply]:
    """A reply to each prompt, in order.

    Raises:
        TeacherError: the endpoint cannot be asked, or fails too often.
        BudgetError: the budget is spent.
    """
    generation = GenerationConfig(max_new_tokens=spec.max_new_tokens)
    with (
        track(f"benchmark {spec.role}", total=len(prompts)) as advance,
        open_asker(spec, f"{spec.role}_benchmark", advance) as asker,
    ):
        batching = Batching(asker.responses.documents("batches"), asker.budget.afford, asker.responses.find)
        patient = open_teacher(one_by_one(spec.model), generation, "cpu")
        timed = draw(prompts, spec.evaluation)[: spec.evaluation.speed.endpoint_requests]
        asker.ask(patient, benchmark_requests(timed, patient), role=spec.role)
        teacher = open_teacher(spec.model, generation, "cpu", batching)
        requests = benchmark_requests(prompts, teacher)
        replies = asker.ask(teacher, requests, role=spec.role)
    return [replies[request.request_hash] for request in requests]


def sampling_of(spec: BenchmarkSpec) -> dict[str, Any] | None:
    """The sampling parameters of an endpoint that is not asked greedily, because it does not accept that; else None."""
    if spec.model.endpoint is None:
        return None
    sent = sampling_sent(spec.model.endpoint, GenerationConfig(max_new_tokens=spec.max_new_tokens))
    return sent if sent.get("temperature") != 0 else None
