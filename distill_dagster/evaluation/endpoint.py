"""A model behind an endpoint on the held-out rows: its replies, and what is known of its speed.

The timed requests are sent first, one after another and never in a batch, as for a local model. The others follow as
fast as the endpoint's limits allow. All replies are stored in the project's responses: a benchmark that is made again
pays nothing and shows the latencies that were measured when the requests were sent. Only the provider knows memory,
size and hardware.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.evaluation.asking import benchmark_requests
from distill_dagster.evaluation.specs import (
    BenchmarkSpec,
    FirstToken,
    Hardware,
    Latency,
    Measurement,
    MemoryUse,
    Speed,
)
from distill_dagster.models.ref import ModelRef
from distill_dagster.progress import track
from distill_dagster.tasks.prompts import Prompt
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Asker
from distill_dagster.teachers.batching.records import Batching
from distill_dagster.teachers.body import sampling_sent
from distill_dagster.teachers.budget import Budget, FailureWatch
from distill_dagster.teachers.protocol import Reply
from distill_dagster.teachers.responses import Responses


def ask_endpoint(
    spec: BenchmarkSpec, endpoint: EndpointConfig, prompts: Sequence[Prompt], timed: Sequence[Prompt]
) -> tuple[list[Reply], Measurement]:
    """A reply to each prompt, in order, and as much as is known of what `speed.measure` measures of a local model.

    Raises:
        TeacherError: the endpoint cannot be asked, or fails too often.
        BudgetError: the budget is spent.
    """
    generation = GenerationConfig(max_new_tokens=spec.max_new_tokens)
    responses = Responses(Path(spec.responses))
    with (
        responses.journal(f"{spec.role}_benchmark") as journal,
        track(f"benchmark {spec.role}", total=len(prompts)) as advance,
    ):
        watch = FailureWatch(spec.stop_failed_share)
        budget = Budget(spec.budget_usd, responses)
        asker = Asker(responses, journal, budget, watch, advance)
        batching = Batching(responses.root / "batches", budget.afford, responses.find)
        patient = open_teacher(one_by_one(spec.model), generation, "cpu")
        teacher = open_teacher(spec.model, generation, "cpu", batching)
        alone = asker.ask(patient, benchmark_requests(timed, patient))
        requests = benchmark_requests(prompts, teacher)
        replies = asker.ask(teacher, requests)
    return [replies[request.request_hash] for request in requests], _measured(spec, endpoint, list(alone.values()))


def one_by_one(ref: ModelRef) -> ModelRef:
    """The same model, asked for one answer at a time, so that the answers can be timed."""
    assert ref.endpoint is not None, "a local model is timed in another way"
    return ref.model_copy(update={"endpoint": ref.endpoint.model_copy(update={"concurrency": 1, "batch": False})})


def sampling_of(spec: BenchmarkSpec) -> dict[str, Any] | None:
    """The sampling parameters of an endpoint that is not asked greedily, because it does not accept that; else None."""
    if spec.model.endpoint is None:
        return None
    sent = sampling_sent(spec.model.endpoint, GenerationConfig(max_new_tokens=spec.max_new_tokens))
    return sent if sent.get("temperature") != 0 else None


def _measured(spec: BenchmarkSpec, endpoint: EndpointConfig, alone: Sequence[Reply]) -> Measurement:
    """The same measurement as of a local model, with None for what only the provider knows."""
    answered = [reply for reply in alone if reply.ok]
    latencies = [reply.latency_ms for reply in answered]
    p50, p95, p99 = (_percentile(latencies, p) for p in (50, 95, 99))
    host = urlsplit(endpoint.url).hostname
    return Measurement(
        speed=Speed(
            requests=len(answered),
            skipped=len(alone) - len(answered),
            warm_ups=0,
            batch_size=1,
            concurrency=1,
            max_new_tokens=spec.max_new_tokens,
            latency_ms=Latency(p50=p50, p95=p95, p99=p99),
            first_token_ms=FirstToken(p50=None),
            tokens_per_second=None,
            prompt_tokens_mean=_mean([reply.prompt_tokens for reply in answered]),
            completion_tokens_mean=_mean([reply.completion_tokens for reply in answered]),
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


def _percentile(latencies: Sequence[float], share: float) -> float | None:
    return round(float(np.percentile(latencies, share)), 3) if latencies else None


def _mean(tokens: Sequence[int]) -> float | None:
    return round(sum(tokens) / len(tokens), 2) if tokens else None
