"""One model on the held-out rows: its answers, how good they are, and what they cost.

The teacher's, the baseline's and the student's benchmark are this one function over three models, so that nothing
but the model differs: same rows, same prompts, greedy decoding. An endpoint that does not accept temperature 0 is
measured with what it accepts, and `sampling` says so. `specs.Benchmark` shows what it says of a model.
The package speed times the models.

An answer counts as wrong, and is counted, if it cannot be parsed, if the token limit cut it off, or if the prompt does
not fit the model's context. A row without a reference is answered but not scored.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distill_dagster.config import EvaluationConfig
from distill_dagster.errors import DataError
from distill_dagster.evaluation import metrics
from distill_dagster.evaluation.asking import ask_local
from distill_dagster.evaluation.endpoint import ask_endpoint, sampling_of
from distill_dagster.evaluation.items import groups_of, item_groups, item_scores
from distill_dagster.evaluation.specs import (
    Benchmark,
    BenchmarkCounts,
    BenchmarkResult,
    BenchmarkSpec,
    ModelIdentity,
    Scores,
    TaskScore,
    TurnScore,
)
from distill_dagster.evaluation.statistics import Interval, mean_interval
from distill_dagster.models.loading import dtype_name
from distill_dagster.models.pinning import bytes_on_disk
from distill_dagster.process import library_versions
from distill_dagster.progress import track
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.tasks import get_task
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.custom_metrics import custom_metrics, open_metrics
from distill_dagster.tasks.prompts import Prompt, prompts_of
from distill_dagster.teachers.faults import may_heal
from distill_dagster.teachers.protocol import Reply, cost_of

Row = Mapping[str, Any]


def run_benchmark(spec: BenchmarkSpec, device: str) -> BenchmarkResult:
    """Write predictions.parquet and benchmark.json into `spec.out`.

    Raises:
        DataError: no held-out row has a reference, or two rows have the same id.
        ModelError: the model cannot be loaded.
        ConfigError: a metric of the project does not work.
    """
    open_metrics(spec.evaluation.metrics)  # one that does not work fails before anything is asked
    rows = parquet.read_table(Path(spec.rows))
    asked = asked_of(spec, rows)
    _check(rows, asked, spec.rows)
    replies = _answer(spec, device, [prompt for _, prompt in asked])
    predictions = [judge(spec, row, prompt, reply) for (row, prompt), reply in zip(asked, replies, strict=True)]
    counts = BenchmarkCounts(rows=len(rows), predictions=len(predictions), **_count(predictions))
    benchmark = Benchmark(
        role=spec.role,
        model=ModelIdentity.model_validate(spec.model.model_dump()),
        max_new_tokens=spec.max_new_tokens,
        prompting=spec.prompting,
        sampling=sampling_of(spec),
        labels=spec.labels,
        bytes_on_disk=bytes_on_disk(Path(spec.model.path)) if spec.model.path else None,
        **dict(score_predictions(predictions, spec.evaluation, spec.labels)),
        **dict(counts),
        **_how_it_ran(spec, device),
    )
    document, out = benchmark.model_dump(mode="json"), Path(spec.out)
    parquet.write_table(out / files.PREDICTIONS_FILE, predictions, schemas.PREDICTION)
    (out / files.BENCHMARK_FILE).write_text(
        json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    return BenchmarkResult(
        data_version=hashing.sha256(hashing.canonical_json([document, predictions])),
        counts=counts,
        complete=not any(may_heal(reply.error_code) for reply in replies),
        billing=spec.model.billing,
        cost_usd=cost_of(replies),
        **dict(benchmark),
    )


def asked_of(spec: BenchmarkSpec, rows: Sequence[Row]) -> list[tuple[Row, Prompt]]:
    """Every prompt of the held-out rows in the form in which the model is asked, each with its row."""
    how = Asked(spec.prompting, spec.summary_words, spec.labels)
    return [(row, how.prompt(row["task"], prompt)) for row in rows for prompt in prompts_of(row)]


def _check(rows: Sequence[Row], asked: Sequence[tuple[Row, Prompt]], path: str) -> None:
    twice = [row_id for row_id, times in Counter(row["row_id"] for row in rows).items() if times > 1]
    if twice:
        raise DataError(
            f"{path}: {len(twice)} row ids belong to more than one row (such as {min(twice)!r}); give each row its "
            "own id"
        )
    if not any(prompt.reference for _, prompt in asked):
        raise DataError(
            f"{path}: none of {len(rows)} held-out rows has a reference, so nothing can be scored; end each test row "
            "with an assistant turn that holds the gold answer, or give it `reference`"
        )


def _answer(spec: BenchmarkSpec, device: str, prompts: Sequence[Prompt]) -> list[Reply]:
    """A reply to each prompt, in order."""
    if spec.model.endpoint is not None:
        return ask_endpoint(spec, prompts)
    with track(f"benchmark {spec.role}", total=len(prompts)) as advance:
        return ask_local(spec, device, prompts, advance)


def _how_it_ran(spec: BenchmarkSpec, device: str) -> dict[str, Any]:
    """The model's size and precision, where it ran, and with which libraries; None for what only a provider knows."""
    versions = library_versions()
    if spec.model.endpoint is not None:
        known = {"python": versions["python"], "torch": None, "transformers": None}
        return {"parameters": None, "dtype": "not known", "device": "endpoint", "versions": known}
    dtype, parameters = dtype_name(spec.model.dtype, device), spec.model.parameters or None
    return {"parameters": parameters, "dtype": dtype, "device": device.partition(":")[0], "versions": dict(versions)}


def judge(spec: BenchmarkSpec, row: Row, prompt: Prompt, reply: Reply) -> dict[str, Any]:
    """The prediction row (`schemas.PREDICTION`) of one answer; only an answer that the model itself ended is parsed."""
    task = get_task(row["task"])
    reading = task.read(reply.text or "", spec.prompting, spec.labels)
    parsed = reading.answer if reply.finish_reason == "stop" else None
    return {
        "row_id": row["row_id"],
        "turn": prompt.turn,
        "group": row["group"],
        "task": row["task"],
        "model": spec.role,
        "prediction": reply.text or "",
        "parsed": parsed,
        "reference": prompt.reference,
        "score": task.score(parsed, prompt.reference, spec.labels) if prompt.reference else None,
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "latency_ms": reply.latency_ms,
    }


def _count(predictions: Sequence[Row]) -> dict[str, int]:
    """Count the predictions that are not a parsed answer, by why, and those without a score.

    The first three groups do not overlap; a prediction of any kind may be unscored.
    """
    stopped = [row for row in predictions if row["finish_reason"] == "stop"]
    return {
        "unparsable": sum(row["parsed"] is None for row in stopped),
        "truncated": sum(row["finish_reason"] == "length" for row in predictions),
        "failed": sum(row["finish_reason"] == "error" for row in predictions),
        "unscored": sum(row["score"] is None for row in predictions),
    }


def score_predictions(
    predictions: Sequence[Row], evaluation: EvaluationConfig, labels: Sequence[str] | None = None
) -> Scores:
    """The mean score over items with its interval, and the same with every metric for each task.

    `labels` is the label set that the answers were parsed against.

    A conversation is one item. Its metrics in `by_task` are means over turns, its interval is over conversations.
    Items of one group stay together in the interval.
    """
    scores, interval = _scored(predictions, evaluation)
    return Scores(
        score=math.fsum(scores) / len(scores),
        interval=(interval.low, interval.high),
        interval_method=interval.method,
        items=len(scores),
        by_task={
            task: _score_task(task, rows, evaluation, labels) for task, rows in metrics.by_task(predictions).items()
        },
    )


def _score_task(
    task: str, predictions: Sequence[Row], evaluation: EvaluationConfig, labels: Sequence[str] | None
) -> TaskScore:
    scores, interval = _scored(predictions, evaluation)
    values = metrics.compute(task, predictions, labels)
    return TaskScore(
        headline=get_task(task).metric,
        score=math.fsum(scores) / len(scores),
        metrics=values | custom_metrics(open_metrics(evaluation.metrics), predictions, values),
        by_turn=_turns(predictions),
        items=len(scores),
        interval=(interval.low, interval.high),
    )


def _scored(predictions: Sequence[Row], evaluation: EvaluationConfig) -> tuple[list[float], Interval]:
    """The items' scores, and the interval of their mean."""
    scores = item_scores(predictions)
    groups = groups_of(scores, item_groups(predictions))
    values = list(scores.values())
    return values, mean_interval(values, resamples=evaluation.resamples, seed=evaluation.seed, groups=groups)


def _turns(predictions: Sequence[Row]) -> list[TurnScore]:
    """The mean score of each turn of the conversations; nothing for rows of one turn."""
    turns: dict[int, list[float]] = defaultdict(list)
    for row in predictions:
        turns[row["turn"]].append(row["score"])
    if len(turns) == 1:
        return []
    return [TurnScore(turn=n, answers=len(own), score=math.fsum(own) / len(own)) for n, own in sorted(turns.items())]
