"""The parts: each gives one spec to one of the library's workers, and returns what the work took.

    Job(folder=…/1B, size=…, device="cuda:0", card="NVIDIA H100 80GB HBM3")
    ->  {"seconds": 14.2, "peak_memory_bytes": 9120000000, "tokens_per_second": 5210.0, …}

`seconds` is the time of the whole worker, with loading and saving. `tokens_per_second` leaves out loading and saving:
it counts new tokens while decoding, answer tokens while reading, and the prompt and answer tokens of the second epoch
while training. `peak_memory_bytes` is what `run_worker` reports: on a GPU `torch.cuda.max_memory_allocated`. Every part
but the first needs only the output of `prepare_model`.

A model with random weights hardly ever ends an answer. The engines therefore get the same weights with more end tokens:
one token in `ENDS_EVERY` ends an answer, so answers have about that many tokens, and their lengths vary as widely as a
geometric distribution.
"""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.gpu.job import Figures, Job
from benchmarks.gpu.loss import measure_loss
from benchmarks.gpu.peers import generate_transformers
from benchmarks.gpu.plan import planned_peak
from benchmarks.gpu.ranks import train_ranks
from benchmarks.gpu.rows import write_tables
from benchmarks.gpu.step import measure_step
from distill_dagster.config import (
    ComputeConfig,
    Engine,
    EvaluationConfig,
    GenerationConfig,
    LogitsConfig,
    SignalName,
    SmokeConfig,
    SpeedConfig,
    StudentTrainingConfig,
)
from distill_dagster.evaluation.specs import BenchmarkResult, BenchmarkSpec
from distill_dagster.evaluation.speed.hardware import machine_for
from distill_dagster.evaluation.speed.specs import SpeedResult, SpeedSpec, TimedModel
from distill_dagster.generation.specs import GenerateResult, GenerateSpec
from distill_dagster.logits.specs import CaptureResult, CaptureSpec
from distill_dagster.progress import Progress, listen
from distill_dagster.store import files, parquet
from distill_dagster.store.result import Result, Spec
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.training.record import StepLoss
from distill_dagster.training.specs import PrepareResult, PrepareSpec, TrainResult, TrainSpec, TryResult, TrySpec
from distill_dagster.training.speed import mfu
from distill_dagster.workers import run_worker

ENDS_EVERY = 48
EPOCHS = 2  # the first one warms up, the second one is timed
BENCHMARK_TOKENS = 64

Made = TypeVar("Made", bound=Result)


def prepare(job: Job) -> Figures:
    """A tokenizer from the rows and a model with random weights."""
    write_tables(job.folder, job.size)
    spec = PrepareSpec(
        role="student",
        model=job.size.model,
        rows=[str(job.folder / "raw.parquet")],
        out=job.out("base"),
        work=job.out("base-work"),
    )
    result = _run(job, "prepare_model", spec, PrepareResult)
    write_tables(job.folder, job.size, job.ref)
    _ragged(job)
    return _usage(result) | result.counts.model_dump()


def _ragged(job: Job) -> None:
    """The same model once more, by links, with one of `ENDS_EVERY` tokens as an end."""
    source, folder = job.folder / "base" / files.WEIGHTS_FOLDER, job.folder / "ragged"
    folder.mkdir(exist_ok=True)
    for path in source.iterdir():
        (folder / path.name).symlink_to(path)
    own = json.loads((source / "generation_config.json").read_text(encoding="utf-8"))
    others = range(ENDS_EVERY, json.loads((source / "config.json").read_text(encoding="utf-8"))["vocab_size"])
    own["eos_token_id"] = [own["eos_token_id"], *others[::ENDS_EVERY]]
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").write_text(json.dumps(own), encoding="utf-8")


def try_model(job: Job) -> Figures:
    """Load the model onto the device and answer three prompts, which also warms the device up for what follows."""
    spec = TrySpec(
        model=job.ref,
        examples=str(job.folder / "examples.parquet"),
        max_new_tokens=job.size.max_new_tokens // 4,
        batch_tokens=job.size.batch_tokens,
    )
    result = _run(job, "try_model", spec, TryResult)
    return _usage(result) | result.counts.model_dump()


def generate(engine: Engine) -> Callable[[Job], Figures]:
    """The part that samples an answer to every row with one of the engines."""

    def sample(job: Job) -> Figures:
        size, out = job.size, job.out(engine)
        ref = job.ref.model_copy(update={"path": str(job.folder / "ragged")})
        spec = GenerateSpec(
            faculty=Faculty(teachers=[(1.0, ref)]),
            generation=GenerationConfig(
                temperature=1.0, max_new_tokens=size.max_new_tokens, engine=engine, batch_tokens=size.batch_tokens
            ),
            smoke=SmokeConfig(rows=0),
            stop_failed_share=1.0,
            rows=str(job.folder / "raw.parquet"),
            responses=job.out(f"{engine}-responses"),
            journal="gpu",
            out=out,
        )
        result = _run(job, "generate_shard", spec, GenerateResult)
        table = parquet.read_table(Path(out) / files.TEACHER_FILE)
        _require(all(row["status"] == "ok" for row in table), f"answers failed: {result.errors}")
        figures = _usage(result) | _decoded(table) | _same_answers(job, engine, table)
        return figures | {"rows": len(table), "dtype": result.dtype}

    return sample


def _decoded(table: list[dict[str, Any]]) -> Figures:
    """Tokens, and tokens a second of the engine: rows' shares of the time add up to what it took."""
    tokens = sum(row["completion_tokens"] for row in table)
    seconds = sum(row["latency_ms"] for row in table) / 1000
    return {"tokens": tokens, "engine_seconds": seconds, "tokens_per_second": tokens / seconds}


def _same_answers(job: Job, engine: Engine, table: list[dict[str, Any]]) -> Figures:
    """The share of rows to which `batched` gave the answer of `continuous`, where that has run."""
    other = job.folder / "continuous" / files.TEACHER_FILE
    if engine == "continuous" or not other.is_file():
        return {}
    pairs = zip(table, parquet.read_table(other), strict=True)
    return {"same_answers": float(np.mean([mine["raw_text"] == theirs["raw_text"] for mine, theirs in pairs]))}


def capture(job: Job) -> Figures:
    """The distributions of all answers."""
    spec = CaptureSpec(
        model=job.ref,
        logits=LogitsConfig(k=job.size.k, batch_tokens=job.size.batch_tokens),
        rows=str(job.folder / "raw.parquet"),
        answers=str(job.folder / "teacher.parquet"),
        out=job.out("capture"),
    )
    result = _run(job, "capture_logits", spec, CaptureResult)
    _require(result.counts.captured == job.size.rows, f"answers were refused: {result.errors}")
    told = {"tokens", "tokens_per_second", "head_apart", "dtype"}
    return _usage(result) | result.model_dump(include=told)


def train(signal: SignalName, **settings: Any) -> Callable[[Job], Figures]:
    """The part that trains on all rows; the second epoch is timed, from step to step, without its checkpoint."""

    def teach(job: Job) -> Figures:
        done_at: dict[int, float] = {}  # optimizer steps -> when that many were done

        def hear(progress: Progress) -> None:
            done_at.setdefault(progress.done, time.perf_counter())

        training = StudentTrainingConfig(
            signal=signal, epochs=EPOCHS, batch_size=job.size.batch_size, evaluations=1, **settings
        )
        spec = TrainSpec(
            student_base=job.ref,
            teacher=job.ref,
            training=training,
            examples=str(job.folder / "examples.parquet"),
            logits=[str(job.folder / "capture" / files.LOGITS_FILE)] if signal == "logits" else [],
            name="student",
            task="qa",
            out=job.out("student"),
            work=job.out("student-work"),
        )
        with listen(hear):
            result = _run(job, "train_student", spec, TrainResult)
        shutil.rmtree(spec.out)
        shutil.rmtree(spec.work)
        planned = planned_peak(job, training)
        figures = _usage(result) | _trained(job, result, done_at)
        if training.lora:
            figures["mfu"] = None  # frozen weights need no gradient: 6 operations a weight would be too many
        return figures | {"planned_bytes": planned, "plan_vs_peak": planned / figures["peak_memory_bytes"]}

    return teach


def _trained(job: Job, result: TrainResult, done_at: dict[int, float]) -> Figures:
    """What a training did, and how fast its second epoch was."""
    counts = result.counts
    speed = counts.train_tokens / (done_at[counts.steps] - done_at[counts.steps // EPOCHS])
    return {
        "tokens": counts.train_tokens * EPOCHS,
        "tokens_per_second": speed,
        "mfu": mfu(counts.parameters, speed, job.card),
        "steps": counts.steps,
        "dtype": result.dtype,
        "first_loss": next(point.loss for point in result.history if isinstance(point, StepLoss)),
        "validation_loss": result.best_validation_loss,
        "training_seconds": result.seconds,  # the Trainer's: steps, validation, checkpoint
    }


def benchmark(job: Job) -> Figures:
    """All held-out rows in batches, as a model is scored."""
    spec = BenchmarkSpec(
        role="student",
        model=job.ref,
        rows=str(job.folder / "test.parquet"),
        max_new_tokens=min(BENCHMARK_TOKENS, job.size.max_new_tokens),
        evaluation=EvaluationConfig(batch_tokens=job.size.batch_tokens, resamples=1000),
        responses=job.out("benchmark-responses"),
        out=job.out("benchmark"),
    )
    result = _run(job, "run_benchmark", spec, BenchmarkResult)
    return _usage(result) | _decoded(parquet.read_table(Path(spec.out) / files.PREDICTIONS_FILE))


def timing(job: Job) -> Figures:
    """Latency of single requests and memory, in a process of its own."""
    tokens = min(BENCHMARK_TOKENS, job.size.max_new_tokens)
    speed = SpeedConfig(rounds=3, seconds=60, concurrency=[1])
    spec = SpeedSpec(
        models=[TimedModel(name="student", model=job.ref)],
        machine=machine_for(ComputeConfig()),
        rows=str(job.folder / "test.parquet"),
        max_new_tokens=tokens,
        evaluation=EvaluationConfig(latency_requests=job.size.timed, speed=speed),
        responses=job.out("timing-responses"),
        out=job.out("timing"),
    )
    result = _run(job, "time_models", spec, SpeedResult)
    (model,) = result.models
    alone = model.level(1)
    assert alone is not None, "1 is among the numbers of requests in flight"
    return _usage(result) | {
        "alone_tokens_per_second": alone.tokens_per_second,
        "alone_latency_ms": alone.latency_ms.model_dump(),
        "alone_first_token_ms": alone.first_token_ms.model_dump(),
        "alone_peak_memory_bytes": model.memory.peak_bytes,
    }


def _run(job: Job, worker: str, spec: Spec, kind: type[Made]) -> Made:
    """Run a worker on the job's device; its result is of the given class."""
    result = run_worker(worker, spec, job.device)
    assert isinstance(result, kind), f"{worker} returns a {type(result).__name__}"
    return result


def _usage(result: Result) -> Figures:
    """What `run_worker` measured."""
    assert result.usage is not None, "run_worker sets it"
    return {"seconds": result.usage.seconds, "peak_memory_bytes": result.usage.peak_memory_bytes}


def _require(right: bool, otherwise: str) -> None:
    """End the part if its worker did something other than the work to be measured."""
    if not right:
        raise RuntimeError(otherwise)


PARTS: dict[str, Callable[[Job], Figures]] = {  # the least important one is last, since time may run out
    "prepare_model": prepare,
    "try_model": try_model,
    "generate_continuous": generate("continuous"),
    "capture_logits": capture,
    "train_text": train("text"),
    "train_logits": train("logits"),
    "train_bfloat16": train("text", weights="bfloat16"),
    "train_lora": train("text", weights="bfloat16", lora={"rank": 16}),
    "train_ddp": train_ranks("ddp"),
    "train_fsdp": train_ranks("fsdp"),
    "head_loss": measure_loss,
    "step_vs_trl": measure_step,
    "run_benchmark": benchmark,
    "time_models": timing,
    "generate_transformers": generate_transformers,
    "generate_batched": generate("batched"),
}
