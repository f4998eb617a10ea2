"""The requests that measure a model, and a local model's replies to them.

Every benchmark asks its model through `Teacher`, greedily if the model's endpoint accepts that. An endpoint's replies
go through the project's responses, as all that was paid for (endpoint.py). A local model's replies are not stored: they
cost no money, and a benchmark that is made again shows the model as it runs now.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from distill_dagster.config import EvaluationConfig, GenerationConfig
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.models.ref import ModelRef
from distill_dagster.tasks.prompts import Prompt
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import request_hash
from distill_dagster.teachers.counted import answer_counted
from distill_dagster.teachers.protocol import Reply, Request, Teacher

Item = TypeVar("Item")


def draw(items: Sequence[Item], evaluation: EvaluationConfig) -> list[Item]:
    """The prompts to time: drawn by seed without replacement, or all of them if there are too few."""
    count = min(evaluation.latency_requests, len(items))
    drawn = np.random.default_rng(evaluation.seed).choice(len(items), size=count, replace=False)
    return [items[i] for i in drawn]


def one_by_one(ref: ModelRef) -> ModelRef:
    """The same model behind an endpoint, asked for one answer at a time, so that the answers can be timed."""
    assert ref.endpoint is not None, "a local model is timed in another way"
    return ref.model_copy(update={"endpoint": ref.endpoint.model_copy(update={"concurrency": 1, "batch": False})})


def benchmark_requests(prompts: Sequence[Prompt], teacher: Teacher) -> list[Request]:
    """The requests that measure a model: each prompt once, with the parameters that the teacher was opened with."""
    forms = [(prompt.messages, prompt.response_format) for prompt in prompts]
    return [Request(request_hash(teacher, m, form, "", 0), m, form) for m, form in forms]


def ask_local(
    spec: BenchmarkSpec, device: str, prompts: Sequence[Prompt], advance: Callable[[int], None]
) -> list[Reply]:
    """A local model's reply to each prompt, in order; calls `advance(1)` after each reply.

    Raises:
        ModelError: the model cannot be loaded or run.
    """
    generation = GenerationConfig(max_new_tokens=spec.max_new_tokens, batch_tokens=spec.evaluation.batch_tokens)
    model = open_teacher(spec.model, generation, device)
    requests, replies = benchmark_requests(prompts, model), defaultdict[str, list[Reply]](list)

    def record(reply: Reply) -> None:
        replies[reply.request_hash].append(reply)
        advance(1)

    answer_counted(model, requests, record, spec.role)
    return [replies[request.request_hash].pop(0) for request in requests]  # two rows may share a prompt, and its hash
