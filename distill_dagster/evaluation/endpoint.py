"""A model behind an endpoint on the held-out rows: its answers, and what is known of its speed.

The requests that are timed are asked first, one after another, as for a local model; the others follow as fast as the
endpoint's limits allow. All of them go through the project's responses: a benchmark that is made again pays nothing,
and its latencies are those of the requests when they were sent. Memory, size and hardware are the provider's business.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.evaluation.specs import (
    BenchmarkSpec,
    FirstToken,
    Hardware,
    Latency,
    Measurement,
    MemoryUse,
    Speed,
)
from distill_dagster.models.decoding import Completion
from distill_dagster.progress import track
from distill_dagster.tasks.prompts import Prompt
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Asker, Entry, request_hash
from distill_dagster.teachers.budget import Budget, FailureWatch
from distill_dagster.teachers.protocol import Question, Teacher
from distill_dagster.teachers.responses import Responses


def ask_endpoint(
    request: BenchmarkSpec, endpoint: EndpointConfig, prompts: Sequence[Prompt], timed: Sequence[Prompt]
) -> tuple[list[Completion], Measurement]:
    """A completion for each prompt, in order, and what `speed.measure` says of a local model, as far as it is known.

    Raises:
        TeacherError: the endpoint cannot be asked, or fails too often.
        BudgetError: the budget is spent.
    """
    generation = GenerationConfig(max_new_tokens=request.max_new_tokens)
    one_by_one = request.model.model_copy(update={"endpoint": endpoint.model_copy(update={"concurrency": 1})})

    responses = Responses(Path(request.responses))
    with (
        responses.journal(f"{request.role}_benchmark") as journal,
        track(f"benchmark {request.role}", total=len(prompts)) as advance,
    ):
        watch = FailureWatch(request.stop_failed_share)
        asker = Asker(responses, journal, Budget(request.budget_usd, responses), watch, advance)
        patient, teacher = open_teacher(one_by_one, generation, "cpu"), open_teacher(request.model, generation, "cpu")
        alone = asker.ask(patient, benchmark_questions(timed, patient, request.max_new_tokens))
        everything = benchmark_questions(prompts, teacher, request.max_new_tokens)
        replies = asker.ask(teacher, everything)
    completions = [_completion(replies[question.request_hash]) for question in everything]
    return completions, _measured(request, endpoint, list(alone.values()))


def benchmark_questions(prompts: Sequence[Prompt], teacher: Teacher, max_new_tokens: int) -> list[Question]:
    """What is asked to measure a model: each prompt once, greedily."""
    generation = GenerationConfig(max_new_tokens=max_new_tokens)
    forms = [(prompt.messages, prompt.response_format) for prompt in prompts]
    return [Question(request_hash(teacher, m, form, generation, "", 0), m, form) for m, form in forms]


def _completion(entry: Entry) -> Completion:
    return Completion(
        text=entry["text"] or "",
        finish_reason=entry["finish_reason"],
        prompt_tokens=entry["prompt_tokens"],
        completion_tokens=entry["completion_tokens"],
        latency_ms=entry["latency_ms"],
        error_code=entry["error_code"],
    )


def _measured(request: BenchmarkSpec, endpoint: EndpointConfig, alone: Sequence[Entry]) -> Measurement:
    """The same measurement as of a local model, with None for what only the provider knows."""
    answered = [entry for entry in alone if entry["finish_reason"] != "error"]
    latencies = [entry["latency_ms"] for entry in answered] or [float("nan")]
    p50, p95, p99 = (round(float(np.percentile(latencies, p)), 3) for p in (50, 95, 99))
    host = urlsplit(endpoint.url).hostname
    return Measurement(
        speed=Speed(
            requests=len(answered),
            skipped=len(alone) - len(answered),
            warm_ups=0,
            batch_size=1,
            concurrency=1,
            max_new_tokens=request.max_new_tokens,
            latency_ms=Latency(p50=p50, p95=p95, p99=p99),
            first_token_ms=FirstToken(p50=None),
            tokens_per_second=None,
            prompt_tokens_mean=_mean(answered, "prompt_tokens"),
            completion_tokens_mean=_mean(answered, "completion_tokens"),
            latencies_ms=[round(latency, 3) for latency in latencies],
            load_s=None,
            threads=None,
        ),
        memory=MemoryUse(weight_bytes=None, peak_bytes=None, how="not known: the model runs behind an endpoint"),
        parameters=None,
        dtype="not known",
        hardware=Hardware(device="endpoint", name=host, cores=None, memory_gb=None, threads=None),
        versions={"python": sys.version.split()[0], "torch": None, "transformers": None},
    )


def _mean(entries: Sequence[Entry], field: str) -> float | None:
    return round(sum(entry[field] for entry in entries) / len(entries), 2) if entries else None
